//! `busbar passwd`: reads a password and prints the hash that `[[users]]` takes, or its SCRAM
//! verifier. Separate from `auth.rs` because it makes hashes and talks to a person; that one only
//! checks them.

use std::io::{self, BufRead, Write};

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, password_hash};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};

use crate::auth::{Verifier, prepare};

/// 128 bits of salt, as RFC 9106 §3.1 recommends.
const SALT_BYTES: usize = 16;

/// Why no hash was made.
#[derive(Debug, thiserror::Error)]
pub enum PasswdError {
    /// The two passwords typed differ.
    #[error("the passwords differ")]
    Differ,
    /// An empty password would let anybody in.
    #[error("the password is empty")]
    Empty,
    /// The hash could not be computed.
    #[error("cannot hash the password")]
    Hash(#[source] password_hash::Error),
    /// SCRAM's passwords are text without control characters.
    #[error("the password has a character that SASLprep (RFC 4013) prohibits")]
    Prohibited,
    /// The terminal, the standard input or output failed.
    #[error("cannot read the password or write its hash")]
    Io(#[from] io::Error),
}

/// What is made of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An argon2id hash, for `password_hash`.
    Hash,
    /// A SCRAM verifier, for `scram_sha256`.
    Scram,
}

/// Reads a password from the standard input, one line, and writes what is made of it to `out`. At
/// a terminal it asks twice and shows nothing.
///
/// # Errors
/// [`PasswdError`] if nothing usable was typed or the terminal failed.
pub fn run(kind: Kind, out: &mut impl Write) -> Result<(), PasswdError> {
    let mut input = io::stdin().lock();
    let password = if isatty(io::stdin()) {
        let mut prompt = io::stderr();
        let first = without_echo(|| ask(&mut input, &mut prompt, "password: "))?;
        let second = without_echo(|| ask(&mut input, &mut prompt, "once more: "))?;
        if first != second {
            return Err(PasswdError::Differ);
        }
        first
    } else {
        read_line(&mut input)?
    };
    let made = match kind {
        Kind::Hash => hash(password.as_bytes())?,
        Kind::Scram => scram(&password)?,
    };
    writeln!(out, "{made}")?;
    Ok(())
}

/// The argon2id hash of a password as a PHC string, with a fresh salt and the crate's parameters
/// (19 MiB, 2 passes), which are those OWASP recommends.
///
/// # Errors
/// [`PasswdError::Empty`]; [`PasswdError::Io`] if the system has no randomness.
pub fn hash(password: &[u8]) -> Result<String, PasswdError> {
    if password.is_empty() {
        return Err(PasswdError::Empty);
    }
    let mut salt = [0; SALT_BYTES];
    // Up to 256 bytes come whole once the system's generator is seeded, which it waits for.
    getrandom(&mut salt, GetRandomFlags::empty()).map_err(io::Error::from)?;
    let hash = Argon2::default().hash_password_with_salt(password, &salt);
    Ok(hash.map_err(PasswdError::Hash)?.to_string())
}

/// The SCRAM-SHA-256 verifier of a password, with a fresh salt.
///
/// # Errors
/// As [`hash`]; [`PasswdError::Prohibited`] for what SASLprep does not allow.
pub fn scram(password: &str) -> Result<String, PasswdError> {
    if password.is_empty() {
        return Err(PasswdError::Empty);
    }
    let prepared = prepare(password).ok_or(PasswdError::Prohibited)?;
    Ok(Verifier::fresh(prepared.as_bytes())?.to_string())
}

fn ask(input: &mut impl BufRead, prompt: &mut impl Write, text: &str) -> io::Result<String> {
    prompt.write_all(text.as_bytes())?;
    prompt.flush()?;
    let line = read_line(input)?;
    // The line end that the person typed was not shown.
    prompt.write_all(b"\n")?;
    Ok(line)
}

fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// Runs `read` while the terminal does not show what is typed, and puts it back whatever happens.
fn without_echo<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let terminal = io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Now, &silent)?;
    let result = read();
    tcsetattr(&terminal, OptionalActions::Now, &before)?;
    result
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;

    use super::*;

    #[test]
    fn a_hash_is_salted_and_fits_its_password_only() {
        let (first, second) = (hash(b"s3cret").unwrap(), hash(b"s3cret").unwrap());
        assert_ne!(first, second);
        assert!(
            first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{first}"
        );
        assert!(
            Argon2::default()
                .verify_password(b"s3cret", first.as_str())
                .is_ok()
        );
        assert!(
            Argon2::default()
                .verify_password(b"secret", first.as_str())
                .is_err()
        );
    }

    #[test]
    fn an_empty_password_has_no_hash() {
        assert!(matches!(hash(b""), Err(PasswdError::Empty)));
        assert!(matches!(scram(""), Err(PasswdError::Empty)));
        assert!(matches!(scram("a\u{7}"), Err(PasswdError::Prohibited)));
    }

    #[test]
    fn only_the_line_end_is_cut_off() {
        let line = |text: &str| read_line(&mut text.as_bytes()).unwrap();
        assert_eq!(line(" pass word \r\nrest"), " pass word ");
        assert_eq!(line("last"), "last");
        assert_eq!(line(""), "");
    }
}
