//! The `busbar` binary: arguments, configuration, run, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gateway::cli::{Arguments, Command};
use gateway::config::Config;
use gateway::{Gateway, passwd};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.command == Some(Command::Passwd) {
        let hashed = passwd::run(&mut std::io::stdout());
        return hashed.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS);
    }
    let config = match arguments.load() {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if arguments.check {
        return say("the configuration is valid").map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let levels = EnvFilter::new(&config.log.level);
    tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime
        .block_on(run(&config))
        .unwrap_or_else(|error| fail(&*error))
}

async fn run(config: &Config) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let gateway = Gateway::start(config)?;
    gateway.announce(|line| drop(say(line)));
    tokio::select! {
        // The log has said why. What is not safe must not be acknowledged: no drain.
        () = gateway.failed() => return Ok(ExitCode::FAILURE),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    gateway.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a line at once, also into a pipe; whether anybody reads it does not matter.
fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut text = format!("busbar: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    drop(writeln!(std::io::stderr(), "{text}"));
    ExitCode::FAILURE
}
