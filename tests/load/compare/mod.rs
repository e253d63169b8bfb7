//! `busbar-load compare`: every case against every server that is there, in turn, round after
//! round, so that whatever else the machine does meets all of them.

pub(crate) mod cases;
pub(crate) mod page;
pub(crate) mod servers;

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::arguments::{self, Compare};
use crate::run;
use crate::scenario::Scenario;
use cases::{Case, Measure};
use servers::{KINDS, Kind, Server};

/// What one server gave in one case.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: Kind,
    /// One row per round that went well: the measure's values, then the client's CPU.
    pub(crate) rounds: Vec<Vec<f64>>,
    pub(crate) failures: Vec<String>,
}

/// A case with what every server gave.
pub(crate) type Row = (Case, Vec<Outcome>);

/// Runs the table and writes the page.
///
/// # Errors
/// When a server cannot be started or the page cannot be written.
pub(crate) fn compare(arguments: &Compare) -> Result<(), Box<dyn Error>> {
    let busbar = busbar(arguments.busbar.as_deref())?;
    let kinds = KINDS.into_iter().filter(|kind| kind.is_installed(&busbar));
    let kinds = kinds
        .filter(|kind| !arguments.alone || *kind == Kind::Busbar)
        .collect::<Vec<_>>();
    let cases = cases::all(arguments::seconds(arguments.duration));
    let cases = cases
        .into_iter()
        .filter(|case| case.name.contains(&arguments.only));
    let mut rows = cases
        .map(|case| (case.clone(), outcomes(&case, &kinds)))
        .collect::<Vec<_>>();
    let started = kinds.iter().map(|kind| Server::start(*kind, &busbar));
    let servers = started.collect::<Result<Vec<_>, _>>()?;
    for round in 1..=arguments.rounds {
        for (case, outcomes) in &mut rows {
            for outcome in outcomes.iter_mut() {
                let known = servers.iter().find(|server| server.kind == outcome.kind);
                let result = measure(case, outcome.kind, known, &busbar);
                println!(
                    "round {round} {} {}: {result:?}",
                    case.name,
                    outcome.kind.name()
                );
                match result {
                    Ok(values) => outcome.rounds.push(values),
                    Err(failure) => outcome.failures.push(failure),
                }
            }
            outcomes.rotate_left(1);
        }
    }
    for (_, outcomes) in &mut rows {
        outcomes.sort_by_key(|outcome| KINDS.iter().position(|kind| *kind == outcome.kind));
    }
    drop(servers);
    let text = page::comparison(&rows, &kinds, &busbar, arguments);
    println!("{text}");
    if let Some(page) = &arguments.page {
        page::replace(page, "comparison", &text)?;
    }
    Ok(())
}

fn outcomes(case: &Case, kinds: &[Kind]) -> Vec<Outcome> {
    let able = kinds
        .iter()
        .filter(|kind| kind.speaks(case.scenario.protocol));
    let empty = |kind: &Kind| Outcome {
        kind: *kind,
        rounds: Vec::new(),
        failures: Vec::new(),
    };
    able.map(empty).collect()
}

/// One run; memory is measured on a server that has served nobody yet.
fn measure(
    case: &Case,
    kind: Kind,
    known: Option<&Server>,
    busbar: &Path,
) -> Result<Vec<f64>, String> {
    let fresh = match case.measure {
        Measure::Memory => Some(Server::start(kind, busbar).map_err(|error| error.to_string())?),
        Measure::Cpu | Measure::Latency => None,
    };
    let server = fresh.as_ref().or(known).ok_or("the server is not there")?;
    let scenario = Scenario {
        address: server.address(case.scenario.protocol),
        server_pid: Some(server.pid()),
        ..case.scenario.clone()
    };
    let report = run::run(&scenario).map_err(|error| error.to_string())?;
    if !report.is_clean() {
        return Err(format!("{:?}", report.faults));
    }
    let numbers = report.numbers();
    let mut values = case.measure.of(&numbers);
    values.extend(numbers.own_cpu_us.filter(|_| case.measure == Measure::Cpu));
    values.extend(Some(numbers.delivered_per_s).filter(|_| case.measure == Measure::Cpu));
    Ok(values)
}

/// The binary to test: what is asked for, or the one beside this program.
pub(crate) fn busbar(given: Option<&Path>) -> std::io::Result<PathBuf> {
    let beside = || std::env::current_exe().map(|own| own.with_file_name("busbar"));
    let path = given.map_or_else(beside, |path| Ok(path.to_owned()))?;
    path.canonicalize()
        .map_err(|error| std::io::Error::other(format!("{}: {error}", path.display())))
}

/// The middle value, the least and the greatest.
pub(crate) fn spread(values: impl Iterator<Item = f64>) -> Option<(f64, f64, f64)> {
    let mut values = values.collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    let median = *values.get(values.len() / 2)?;
    Some((median, *values.first()?, *values.last()?))
}
