//! The tables as Markdown, put into a page between markers that leave the rest of it alone.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::cases::{Case, Measure};
use super::servers::{KINDS, Kind};
use super::{Outcome, Row, spread};
use crate::arguments::Compare;

/// Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a page.
///
/// # Errors
/// When the page cannot be read or written, or has no such markers.
pub(crate) fn replace(page: &Path, name: &str, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(page)?;
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let missing = || io::Error::other(format!("{} has no marker {name}", page.display()));
    let (before, rest) = old.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    fs::write(page, format!("{before}{begin}{text}{end}{after}"))
}

/// The comparison's part of the page.
pub(crate) fn comparison(
    rows: &[Row],
    kinds: &[Kind],
    busbar: &Path,
    arguments: &Compare,
) -> String {
    let mut text = machine();
    let (rounds, seconds) = (arguments.rounds, arguments.duration);
    text += &format!(
        "{rounds} rounds, each case {seconds} s on each server in turn; medians, with the least \
         and the greatest in parentheses.\n\n"
    );
    for kind in kinds {
        let (name, version) = (kind.name(), kind.version(busbar));
        text += &format!("- {name}: `{version}`; {}\n", kind.settings());
    }
    for kind in KINDS.iter().filter(|kind| !kinds.contains(kind)) {
        text += &format!("- {}: not there, not measured\n", kind.name());
    }
    text += "\n| case | unit | Busbar | target | | peer here | peer / Busbar | client | \
             Busbar messages/s | known elsewhere |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    rows.iter()
        .for_each(|(case, outcomes)| text += &line(case, outcomes));
    text += &failures(rows);
    text
}

fn line(case: &Case, outcomes: &[Outcome]) -> String {
    let own = outcomes.iter().find(|outcome| outcome.kind == Kind::Busbar);
    let peers = outcomes
        .iter()
        .filter(|outcome| outcome.kind != Kind::Busbar);
    let peers = peers.collect::<Vec<_>>();
    let count = case.targets.len();
    let middle = |outcome: &Outcome, at| column(outcome, at).map(|(median, ..)| median);
    let medians = |outcome| {
        (0..count)
            .map_while(|at| middle(outcome, at))
            .collect::<Vec<_>>()
    };
    let reached = own.map(medians).unwrap_or_default();
    let verdict = verdict(case.targets, &reached);
    let shown = peers
        .iter()
        .map(|peer| format!("{} {}", peer.kind.name(), values(peer, count)));
    let shown = shown.collect::<Vec<_>>().join("; ");
    let factors = peers.iter().filter_map(|peer| {
        let factor = middle(peer, 0)? / reached.first()?;
        Some(format!("{factor:.1}"))
    });
    let factors = factors.collect::<Vec<_>>().join("; ");
    let is_cpu = case.measure == Measure::Cpu;
    let client = own.filter(|_| is_cpu).and_then(|own| middle(own, 1));
    let rate = own.filter(|_| is_cpu).and_then(|own| middle(own, 2));
    let targets = case.targets.iter().map(|target| format!("{target}"));
    format!(
        "| {} | {} | {} | {} | {verdict} | {shown} | {factors} | {} | {} | {} |\n",
        case.name,
        case.measure.unit(),
        own.map(|own| values(own, count)).unwrap_or_default(),
        targets.collect::<Vec<_>>().join(" / "),
        client.map(short).unwrap_or_default(),
        rate.map(|rate| format!("{rate:.0}")).unwrap_or_default(),
        case.known,
    )
}

/// Whether the target is reached, or by how much it is missed.
fn verdict(targets: &[f64], reached: &[f64]) -> String {
    let missed = targets.iter().zip(reached);
    let worst = missed
        .map(|(target, value)| value / target)
        .fold(0.0, f64::max);
    match worst {
        0.0 => "-".to_owned(),
        worst if worst <= 1.0 => "reached".to_owned(),
        worst => format!("{:+.0} %", (worst - 1.0) * 100.0),
    }
}

fn column(outcome: &Outcome, at: usize) -> Option<(f64, f64, f64)> {
    spread(
        outcome
            .rounds
            .iter()
            .filter_map(|round| round.get(at).copied()),
    )
}

fn values(outcome: &Outcome, count: usize) -> String {
    let shown = (0..count).filter_map(|at| {
        let (median, least, greatest) = column(outcome, at)?;
        Some(format!(
            "{} ({}–{})",
            short(median),
            short(least),
            short(greatest)
        ))
    });
    let shown = shown.collect::<Vec<_>>().join(" / ");
    if shown.is_empty() {
        "failed".to_owned()
    } else {
        shown
    }
}

/// Three digits that mean something.
fn short(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn failures(rows: &[Row]) -> String {
    let mut text = String::new();
    for (case, outcomes) in rows {
        for outcome in outcomes {
            for failure in &outcome.failures {
                text += &format!("\n{} on {}: {failure}\n", case.name, outcome.kind.name());
            }
        }
    }
    text
}

/// What the numbers were measured on.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models = cpus.lines().filter(|line| line.starts_with("model name"));
    let models = models
        .filter_map(|line| line.split_once(": "))
        .collect::<Vec<_>>();
    let model = models.first().map_or("unknown", |(_, model)| model);
    let memory = read("/proc/meminfo");
    let kib = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok());
    let date = Command::new("date").args(["-u", "+%F %H:%M UTC"]).output();
    let date = date.map(|output| output.stdout).unwrap_or_default();
    format!(
        "{}, {} x {model}, {} GiB, Linux {}; load average at the end {}.\n",
        String::from_utf8_lossy(&date).trim(),
        models.len(),
        kib.unwrap_or(0) / 1024 / 1024,
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg")
            .split_whitespace()
            .next()
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a\n<!-- x -->\nold\n<!-- /x -->\nb\n").unwrap();
        replace(file.path(), "x", "new\n").unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n");
        assert!(replace(file.path(), "y", "").is_err());
    }

    #[test]
    fn a_missed_target_says_by_how_much() {
        assert_eq!(verdict(&[1.0], &[0.9]), "reached");
        assert_eq!(verdict(&[70.0, 200.0], &[35.0, 300.0]), "+50 %");
    }
}
