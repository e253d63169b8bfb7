//! SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677): the client proves that it knows the
//! password without sending it, and the server that it knows the verifier.
//!
//! ```text
//! client  n,,n=user,r=<nonce>
//! server  r=<nonce><more>,s=<salt>,i=<iterations>
//! client  c=<the n,, again>,r=<nonce><more>,p=<proof>
//! server  v=<proof>
//! ```
//!
//! Names and passwords are compared as SASLprep (RFC 4013) leaves them, so that it does not matter
//! how a keyboard composed an accent.
//!
//! Channel binding (`SCRAM-SHA-256-PLUS`) is not offered, nor is acting for another user.

use std::borrow::Cow;
use std::fmt;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

/// RFC 7677 §4 asks for at least this many. It is the client that has to compute them.
const ITERATIONS: u32 = 4096;

/// Random bytes of a salt, and of the server's part of a nonce.
const RANDOM_BYTES: usize = 18;

type Key = [u8; 32];

/// A name or password as SASLprep leaves it; none if it has a character that is prohibited there,
/// or nothing is left.
#[must_use]
pub fn prepare(text: &str) -> Option<Cow<'_, str>> {
    let prepared = stringprep::saslprep(text).ok()?;
    Some(prepared).filter(|text| !text.is_empty())
}

/// What is stored of a password: enough to check a proof of it, not to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Verifier {
    /// The verifier of a password that is [prepared](prepare).
    #[must_use]
    pub fn of(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut salted = Key::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(sign(&salted, b"Client Key")).into(),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// The verifier of a password, with a fresh salt.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn fresh(password: &[u8]) -> io::Result<Self> {
        Ok(Self::of(password, &random()?, ITERATIONS))
    }

    /// Reads what [`Verifier`] displays, which is the form that PostgreSQL stores:
    /// `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("SCRAM-SHA-256$")?;
        let (iterations, text) = text.split_once(':')?;
        let (salt, text) = text.split_once('$')?;
        let (stored_key, server_key) = text.split_once(':')?;
        let key = |text: &str| Key::try_from(BASE64.decode(text).ok()?).ok();
        Some(Self {
            iterations: iterations.parse().ok().filter(|count| *count > 0)?,
            salt: BASE64.decode(salt).ok().filter(|salt| !salt.is_empty())?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// A verifier for a user that does not exist. No password is known that fits it.
    pub(super) fn decoy(seed: &Key) -> Self {
        Self {
            iterations: ITERATIONS,
            salt: seed.iter().take(RANDOM_BYTES).copied().collect(),
            stored_key: sign(seed, b"stored"),
            server_key: sign(seed, b"server"),
        }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| BASE64.encode(bytes);
        let (salt, iterations) = (text(&self.salt), self.iterations);
        let (stored, server) = (text(&self.stored_key), text(&self.server_key));
        write!(f, "SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// An exchange whose client is to prove itself next.
#[derive(Debug)]
pub struct Exchange {
    user: String,
    /// The header that the client began with, and must repeat.
    header: String,
    /// The client's first message without its header.
    client_first: String,
    server_first: String,
    nonce: String,
    verifier: Verifier,
}

/// A client that has proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proved {
    /// Who it is.
    pub(super) user: String,
    /// The server's last message.
    pub(super) message: String,
}

impl Exchange {
    /// Reads the client's first message. Returns the exchange and what to answer; none if the
    /// message is malformed or asks for what is not offered.
    pub(super) fn begin(
        message: &str,
        nonce: &str,
        verifier: impl FnOnce(&str) -> Verifier,
    ) -> Option<(Self, String)> {
        // "y" would bind to the channel if it could; "p=" does so, which nobody has offered.
        let (flag, rest) = message.split_once(',')?;
        let (authorization, client_first) = rest.split_once(',')?;
        if !matches!(flag, "n" | "y") || !authorization.is_empty() {
            return None;
        }
        let mut attributes = client_first.split(',');
        let user = name(attributes.next()?.strip_prefix("n=")?)?;
        let user = prepare(&user)?.into_owned();
        let client_nonce = attributes.next()?.strip_prefix("r=")?;
        let is_printable = |byte| matches!(byte, b'!'..=b'~');
        if client_nonce.is_empty() || !client_nonce.bytes().all(is_printable) {
            return None;
        }
        let verifier = verifier(&user);
        let nonce = format!("{client_nonce}{nonce}");
        let (salt, iterations) = (BASE64.encode(&verifier.salt), verifier.iterations);
        let server_first = format!("r={nonce},s={salt},i={iterations}");
        let exchange = Self {
            user,
            header: format!("{flag},,"),
            client_first: client_first.to_owned(),
            server_first: server_first.clone(),
            nonce,
            verifier,
        };
        Some((exchange, server_first))
    }

    /// Checks the client's proof.
    pub(super) fn finish(self, message: &str) -> Option<Proved> {
        let (unproved, proof) = message.rsplit_once(",p=")?;
        let mut attributes = unproved.split(',');
        let binding = attributes.next()?.strip_prefix("c=")?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        if binding != BASE64.encode(&self.header) || nonce != self.nonce {
            return None;
        }
        let said = format!("{},{},{unproved}", self.client_first, self.server_first);
        let signature = sign(&self.verifier.stored_key, said.as_bytes());
        let proof = Key::try_from(BASE64.decode(proof).ok()?).ok()?;
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let offered: Key = Sha256::digest(client_key).into();
        // Without a branch on the bytes: how many are right must not be told by the time it takes.
        let differences = offered.iter().zip(self.verifier.stored_key);
        let difference = differences.fold(0, |all, (a, b)| all | (a ^ b));
        let answer = sign(&self.verifier.server_key, said.as_bytes());
        (difference == 0).then(|| Proved {
            user: self.user,
            message: format!("v={}", BASE64.encode(answer)),
        })
    }
}

/// A user name in which `,` and `=` are written as `=2C` and `=3D`.
fn name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

fn sign(key: &Key, message: &[u8]) -> Key {
    let keyed = <Hmac<Sha256> as KeyInit>::new_from_slice(key);
    // HMAC takes keys of any length.
    keyed.map_or([0; 32], |keyed| {
        keyed.chain_update(message).finalize().into_bytes().into()
    })
}

/// The server's part of a nonce.
pub(super) fn nonce() -> io::Result<String> {
    Ok(BASE64.encode(random()?))
}

fn random() -> io::Result<[u8; RANDOM_BYTES]> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

/// What a client of user `user` answers a challenge: for tests.
#[cfg(test)]
pub(super) fn client_final(user: &str, password: &str, server_first: &str) -> String {
    let mut attributes = server_first.split(',').map(|attribute| attribute.get(2..));
    let mut next = || attributes.next().flatten().unwrap();
    let (nonce, salt, iterations) = (next(), next(), next());
    let salt = BASE64.decode(salt).unwrap();
    let mut salted = Key::default();
    let iterations = iterations.parse().unwrap();
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
    let mut proof = sign(&salted, b"Client Key");
    let stored: Key = Sha256::digest(proof).into();
    let said = format!("n={user},r=abc,{server_first},c=biws,r={nonce}");
    for (byte, mask) in proof.iter_mut().zip(sign(&stored, said.as_bytes())) {
        *byte ^= mask;
    }
    format!("c=biws,r={nonce},p={}", BASE64.encode(proof))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 §3.
    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn verifier() -> Verifier {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        Verifier::of(b"pencil", &salt, 4096)
    }

    fn begin(message: &str) -> Option<(Exchange, String)> {
        Exchange::begin(message, SERVER_NONCE, |_| verifier())
    }

    #[test]
    fn the_exchange_of_rfc_7677_succeeds() {
        let (exchange, answer) = begin(CLIENT_FIRST).unwrap();
        assert_eq!(answer, SERVER_FIRST);
        let proved = exchange.finish(CLIENT_FINAL).unwrap();
        assert_eq!(
            (proved.user.as_str(), proved.message.as_str()),
            ("user", SERVER_FINAL)
        );
    }

    #[test]
    fn a_wrong_proof_nonce_or_header_fails() {
        for message in [
            CLIENT_FINAL.replace("p=d", "p=e"),
            CLIENT_FINAL.replace("r=rO", "r=rP"),
            CLIENT_FINAL.replace("biws", "eSws"),
            CLIENT_FINAL.replace(",p=", ",q="),
            String::new(),
        ] {
            assert_eq!(
                begin(CLIENT_FIRST).unwrap().0.finish(&message),
                None,
                "{message}"
            );
        }
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        for message in [
            "p=tls-unique,,n=user,r=abc",
            "n,a=root,n=user,r=abc",
            "n,,m=ext,n=user,r=abc",
            "n,,n=,r=abc",
            "n,,n=a=2D,r=abc",
            "n,,n=a=2,r=abc",
            "n,,n=user,r=",
            "n,,n=user,r=a b",
            "",
        ] {
            assert!(begin(message).is_none(), "{message}");
        }
        assert_eq!(begin("y,,n=a=2Cb=3D,r=abc,x=ext").unwrap().0.user, "a,b=");
    }

    #[test]
    fn the_examples_of_rfc_4013_are_prepared_as_it_says() {
        for (input, output) in [
            ("I\u{AD}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{AA}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}1", None),
            ("\u{AD}", None),
        ] {
            assert_eq!(prepare(input).as_deref(), output, "{input:?}");
        }
    }

    #[test]
    fn names_are_prepared_but_signed_as_they_were_sent() {
        let exchange = begin("n,,n=I\u{AD}X,r=abc").unwrap().0;
        assert_eq!(exchange.user, "IX");
        assert_eq!(exchange.client_first, "n=I\u{AD}X,r=abc");
        assert!(begin("n,,n=a\u{7},r=abc").is_none());
    }

    #[test]
    fn a_verifier_is_read_as_it_is_written() {
        let text = verifier().to_string();
        assert!(
            text.starts_with("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"),
            "{text}"
        );
        assert_eq!(Verifier::parse(&text), Some(verifier()));
        for wrong in ["", "SCRAM-SHA-256$0:W22Z$a:b", "SCRAM-SHA-1$1:W22Z$a:b"] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
        let (first, second) = (
            Verifier::fresh(b"x").unwrap(),
            Verifier::fresh(b"x").unwrap(),
        );
        assert_ne!(first, second);
    }
}
