//! `busbar journal`: looks at the data directory of a gateway that does not run, and saves what can
//! be read of a damaged one.

use std::io::{self, Write};
use std::path::Path;

use storage::{DiskFiles, Report, Salvaged, check, salvage};

use crate::cli::JournalCommand;

/// Why the command did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalCommandError {
    /// Something in the directory is damaged; the report says what.
    #[error("the data directory is damaged")]
    Damaged,
    /// The directory could not be read or written.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// There is nothing to look at.
    #[error("{0} is no data directory: it has no journal")]
    NoJournal(String),
    /// The report could not be written.
    #[error("cannot write the report")]
    Io(#[from] io::Error),
}

/// Does what the command says, and reports to `out`.
///
/// # Errors
/// See [`JournalCommandError`].
pub fn run(command: &JournalCommand, out: &mut impl Write) -> Result<(), JournalCommandError> {
    match command {
        JournalCommand::Check { dir } => {
            expect_journal(dir)?;
            let report = check(dir, &DiskFiles)?;
            print_report(&report, out)?;
            if report.is_whole() {
                Ok(())
            } else {
                Err(JournalCommandError::Damaged)
            }
        }
        JournalCommand::Salvage { dir, to } => {
            expect_journal(dir)?;
            Ok(print_salvaged(&salvage(dir, to, &DiskFiles)?, out)?)
        }
    }
}

fn expect_journal(dir: &Path) -> Result<(), JournalCommandError> {
    if dir.join("journal").is_dir() {
        return Ok(());
    }
    Err(JournalCommandError::NoJournal(dir.display().to_string()))
}

fn print_report(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for checkpoint in &report.checkpoints {
        let path = checkpoint.path.display();
        match checkpoint.content {
            Some((at, parts)) => writeln!(out, "{path}: checkpoint at {at}, {parts} records")?,
            None => writeln!(out, "{path}: DAMAGED checkpoint")?,
        }
    }
    for segment in &report.segments {
        let (path, base, end) = (segment.path.display(), segment.base, segment.end);
        writeln!(
            out,
            "{path}: {} records from {base} to {end}",
            segment.records
        )?;
    }
    for page in &report.pages {
        let state = if page.is_whole { "whole" } else { "DAMAGED" };
        writeln!(out, "{}: page file, {state}", page.path.display())?;
    }
    match &report.log {
        Ok((end, true)) => writeln!(out, "the log is whole and ends cleanly at {end}"),
        Ok((end, false)) => writeln!(
            out,
            "the log is whole and ends at {end}, without a clean stop"
        ),
        Err(error) => writeln!(out, "DAMAGED log: {error}"),
    }
}

fn print_salvaged(salvaged: &Salvaged, out: &mut impl Write) -> io::Result<()> {
    let Salvaged {
        checkpoints,
        records,
        page_records,
        ..
    } = salvaged;
    writeln!(
        out,
        "saved {checkpoints} checkpoints, {records} records, {page_records} paged"
    )?;
    for (from, to) in &salvaged.gaps {
        writeln!(out, "lost: the log from {from} to {to}")?;
    }
    for page in &salvaged.damaged_pages {
        writeln!(out, "lost: part of {}", page.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::{Journal, Settings, Urgency};

    /// A data directory with one record, left by a clean stop.
    fn data_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path());
        settings.segment_bytes = 1 << 20;
        settings.frame_bytes_max = 64 << 10;
        let (journal, _) = Journal::open(settings, DiskFiles).unwrap();
        journal.append(&[b"record"], Urgency::Sync).unwrap();
        journal.close().unwrap();
        dir
    }

    fn told(command: &JournalCommand) -> (bool, String) {
        let mut out = Vec::new();
        let done = run(command, &mut out).is_ok();
        (done, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_whole_directory_is_said_to_be_whole() {
        let dir = data_dir();
        let (done, text) = told(&JournalCommand::Check {
            dir: dir.path().into(),
        });
        assert!(
            done && text.contains("1 records") && text.contains("ends cleanly"),
            "{text}"
        );
    }

    #[test]
    fn a_damaged_one_is_said_to_be_damaged_and_can_be_salvaged() {
        let dir = data_dir();
        let segments = std::fs::read_dir(dir.path().join("journal")).unwrap();
        let holds = |path: &std::path::PathBuf| {
            std::fs::read(path).is_ok_and(|bytes| bytes.windows(6).any(|at| at == b"record"))
        };
        let segment = segments
            .map(|entry| entry.unwrap().path())
            .find(holds)
            .unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        let at = bytes.windows(6).position(|at| at == b"record").unwrap();
        bytes[at] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let (done, text) = told(&JournalCommand::Check {
            dir: dir.path().into(),
        });
        assert!(!done && text.contains("DAMAGED"), "{text}");
        let to = tempfile::tempdir().unwrap();
        let command = JournalCommand::Salvage {
            dir: dir.path().into(),
            to: to.path().into(),
        };
        let (done, text) = told(&command);
        assert!(done && text.contains("lost: the log from"), "{text}");
    }

    #[test]
    fn a_directory_without_a_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = run(
            &JournalCommand::Check {
                dir: dir.path().into(),
            },
            &mut Vec::new(),
        );
        assert!(matches!(refused, Err(JournalCommandError::NoJournal(_))));
    }
}
