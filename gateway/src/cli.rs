//! The command line. Flags choose how to run; what to run is the configuration's.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::{Config, LoadError, Overlay};

/// The message gateway: AMQP 0-9-1, MQTT, Redis pub/sub and LAN datagrams on one core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(name = "busbar", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Read the configuration from FILE; without it the built-in defaults run, on loopback
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the configuration, report all that is wrong with it, and stop
    #[arg(long)]
    pub check: bool,
    /// Set one key, as the file would: --set 'storage.sync="os"' (repeatable, the last one wins)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What to log: error, warn, info, debug, trace, or per target as in info,amqp=debug
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// Something else to do than run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the binary does besides running the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Look at the data directory of a gateway that does not run
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Look at LAN links
    #[command(subcommand)]
    Lan(LanCommand),
    /// Copy the data directory of a running gateway to an empty directory, to start from there
    Backup {
        /// An empty or new directory
        dir: PathBuf,
        /// The data directory of the gateway
        #[arg(long, default_value = "busbar-data")]
        data_dir: PathBuf,
    },
    /// Read a password and print its hash for `password_hash` of a user
    Passwd {
        /// Print its SCRAM verifier for `scram_sha256` instead
        #[arg(long)]
        scram: bool,
    },
}

/// What can be done with LAN links.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum LanCommand {
    /// Print what arrives at a link: a line each of topic, tab and payload; needs no gateway
    Listen {
        /// The link's name
        link: String,
        /// The configuration that has the link
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// End after so many messages
        #[arg(long, value_name = "NUMBER")]
        count: Option<u64>,
    },
}

/// What can be done with a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum JournalCommand {
    /// Say what is there and whether it is whole; changes nothing
    Check {
        /// The data directory
        dir: PathBuf,
    },
    /// Copy everything that is whole to an empty directory, to start from there
    Salvage {
        /// The damaged data directory; it is not changed
        dir: PathBuf,
        /// An empty directory
        #[arg(long)]
        to: PathBuf,
    },
}

impl Arguments {
    /// The configuration that the file and the overlays make together.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read or anything is wrong with either.
    pub fn load(&self) -> Result<Config, LoadError> {
        let set = self.set.iter().map(|text| Overlay {
            option: "--set",
            text: text.clone(),
        });
        let log = self.log.iter().map(|level| Overlay {
            option: "--log",
            // A level has no character that TOML would read differently; what has one is no level
            // and is refused as such.
            text: format!(
                "log.level = '{}'",
                level.replace(|c: char| c == '\'' || c.is_control(), " ")
            ),
        });
        Config::load(self.config.as_deref(), &set.chain(log).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &[&str]) -> Arguments {
        Arguments::parse_from([&["busbar"], line].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_argument_means_the_defaults() {
        assert_eq!(parse(&[]), Arguments::default());
        assert_eq!(Arguments::default().load().unwrap(), Config::default());
    }

    #[test]
    fn overlays_apply_in_their_order_and_log_last() {
        let arguments = parse(&[
            "--set",
            "listeners.amqp.bind=\"127.0.0.1:0\"",
            "--set=storage.data_dir=\"a\"",
            "--set=storage.data_dir=\"b\"",
            "--set=log.level=\"warn\"",
            "--log=debug",
        ]);
        let config = arguments.load().unwrap();
        assert_eq!(
            config.listeners.amqp.bind,
            [crate::config::Bind::Tcp("127.0.0.1:0".parse().unwrap())]
        );
        assert_eq!(config.storage.data_dir, PathBuf::from("b"));
        assert_eq!(config.log.level, "debug");
    }

    #[test]
    fn a_level_that_is_none_is_refused_under_the_name_of_its_option() {
        let report = parse(&["--log=o'\nrly"]).load().unwrap_err().to_string();
        assert!(report.contains("--> --log:1:13"), "{report}");
    }

    #[test]
    fn passwd_takes_no_configuration() {
        let passwd = |scram| Some(Command::Passwd { scram });
        assert_eq!(parse(&["passwd"]).command, passwd(false));
        assert_eq!(parse(&["passwd", "--scram"]).command, passwd(true));
        assert!(Arguments::try_parse_from(["busbar", "--check", "passwd"]).is_err());
    }
}
