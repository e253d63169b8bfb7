//! The `busbar` binary: arguments, configuration, run, exit code.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use gateway::cli::{Arguments, Command};
use gateway::config::{Config, Invalid, LoadError};
use gateway::{Gateway, control, journal_command, lan_command, passwd};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// A message is taken from memory by its publisher's thread and given back by its last receiver's,
/// for which the system's allocator has its threads wait for each other. How it is set is in
/// `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(command) = &arguments.command {
        return do_instead(command);
    }
    let config = match arguments.load() {
        Ok(config) => config,
        Err(LoadError::Invalid(report)) => return refuse(&report),
        Err(error) => return fail(&error),
    };
    if arguments.check {
        return say("the configuration is valid").map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let levels = EnvFilter::new(&config.log.level);
    tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_ansi(std::io::stderr().is_terminal())
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
        .block_on(run(&arguments, &config))
        .unwrap_or_else(|error| fail(&*error))
}

/// What is asked for instead of running.
fn do_instead(command: &Command) -> ExitCode {
    let mut out = std::io::stdout();
    let done: Result<(), Box<dyn Error>> = match command {
        Command::Passwd { scram } => {
            let kind = if *scram {
                passwd::Kind::Scram
            } else {
                passwd::Kind::Hash
            };
            passwd::run(kind, &mut out).map_err(Into::into)
        }
        Command::Lan(command) => lan_command::run(command, &mut out).map_err(Into::into),
        Command::Backup { dir, data_dir } => {
            control::backup(data_dir, dir, &mut out).map_err(Into::into)
        }
        Command::Journal(command) => journal_command::run(command, &mut out).map_err(Into::into),
    };
    done.map_or_else(|error| fail(&*error), |()| ExitCode::SUCCESS)
}

async fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Box<dyn Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut gateway = Gateway::start(config)?;
    gateway.announce(|line| drop(say(line)));
    loop {
        tokio::select! {
            // The log has said why. What is not safe must not be acknowledged: no drain.
            () = gateway.failed() => return Ok(ExitCode::FAILURE),
            _ = hang_up.recv() => reload(arguments, &mut gateway),
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    gateway.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the configuration again; whatever is wrong with it leaves everything as it was.
fn reload(arguments: &Arguments, gateway: &mut Gateway) {
    let loaded = arguments.load().map_err(|error| error.to_string());
    let taken = loaded.and_then(|config| gateway.reload(&config).map_err(|e| e.to_string()));
    match taken {
        Ok(()) => info!("configuration reloaded"),
        Err(reason) => warn!(%reason, "configuration not reloaded"),
    }
}

/// Prints a line at once, also into a pipe; whether anybody reads it does not matter.
fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Shows all that is wrong with the configuration, in colour to a person.
fn refuse(report: &Invalid) -> ExitCode {
    let mut stderr = std::io::stderr();
    let text = if stderr.is_terminal() {
        report.render_styled()
    } else {
        report.to_string()
    };
    drop(writeln!(stderr, "{text}"));
    ExitCode::FAILURE
}

fn fail(error: &dyn Error) -> ExitCode {
    let mut text = format!("busbar: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    drop(writeln!(std::io::stderr(), "{text}"));
    ExitCode::FAILURE
}
