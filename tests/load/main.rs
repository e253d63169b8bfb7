//! `busbar-load`: a load generator for AMQP 0-9-1, MQTT and Redis publish/subscribe servers.
//!
//! One thread, one epoll, prebuilt frames, reads and writes of many messages at once, so that the
//! server is what is measured. It shares no code with the gateway.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command line program that measures time"
)]

mod arguments;
mod cast;
mod clients;
mod compare;
mod connection;
mod cursor;
mod dialect;
mod ledger;
mod plot;
mod poll;
mod process;
mod report;
mod run;
mod scale;
mod scenario;
mod stamp;

use std::error::Error;
use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scenario::Scenario;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    allow_many_connections();
    match carry_out(&arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("busbar-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: &Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Amqp(load) => show(&load.scenario()?, load.load.json),
        Command::Mqtt(load) => show(&load.scenario()?, load.load.json),
        Command::Resp(load) => show(&load.resp_scenario()?, load.json),
        Command::Compare(arguments) => compare::compare(arguments).map(|()| ExitCode::SUCCESS),
        Command::Scale(arguments) => scale::scale(arguments).map(|()| ExitCode::SUCCESS),
    }
}

/// Runs one scenario; messages that were lost, doubled or out of order are a failure.
fn show(scenario: &Scenario, json: bool) -> Result<ExitCode, Box<dyn Error>> {
    let report = run::run(scenario)?;
    let numbers = report.numbers();
    if json {
        println!("{}", serde_json::to_string(&numbers)?);
    } else {
        println!("{numbers}");
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// As many files as the system allows; without, the usual 1024 would be the limit.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("busbar-load: cannot raise the limit of open files: {error}");
    }
}
