//! What Redis 7.2.6 answered, byte for byte, and whether Busbar answers the same.
//!
//! ```text
//! a> SUBSCRIBE news          client `a` sends this line
//! a! *1\r\n$4\r\nPING\r\n    client `a` sends these bytes
//! a< $4\r\nPONG\r\n          client `a` has received these bytes by then; [closed]: and no more
//!                            an empty line: all clients are gone, the next ones are new
//! # with a password          the server asks for the password `secret`
//! ```
//!
//! The `<` lines were written by `transcripts/record.py` from a real server, which can do it again.

use std::collections::BTreeMap;

use crate::world::World;

#[test]
fn authentication() {
    replay(include_str!("transcripts/authentication.txt"));
}

#[test]
fn client() {
    replay(include_str!("transcripts/client.txt"));
}

#[test]
fn connection() {
    replay(include_str!("transcripts/connection.txt"));
}

#[test]
fn keys() {
    replay(include_str!("transcripts/keys.txt"));
}

#[test]
fn lists() {
    replay(include_str!("transcripts/lists.txt"));
}

#[test]
fn ordering() {
    replay(include_str!("transcripts/ordering.txt"));
}

#[test]
fn parser() {
    replay(include_str!("transcripts/parser.txt"));
}

#[test]
fn pubsub() {
    replay(include_str!("transcripts/pubsub.txt"));
}

#[test]
fn server() {
    replay(include_str!("transcripts/server.txt"));
}

#[test]
fn strings() {
    replay(include_str!("transcripts/strings.txt"));
}

#[test]
fn subscribed_mode() {
    replay(include_str!("transcripts/subscribed_mode.txt"));
}

#[test]
fn transaction() {
    replay(include_str!("transcripts/transaction.txt"));
}

/// Plays the clients' part and compares all that each of them receives at each step.
fn replay(transcript: &str) {
    let has_password = transcript.contains("# with a password");
    let mut world = World::with_password(has_password);
    let mut expected = BTreeMap::new();
    let mut step = String::new();
    for (number, line) in transcript.lines().chain([""]).enumerate() {
        if let Some((name, bytes)) = line.split_once("< ") {
            expected.insert(name.to_owned(), bytes.to_owned());
            continue;
        }
        let received = received(&mut world);
        assert_eq!(received, expected, "line {number}: {step}");
        expected.clear();
        step = line.to_owned();
        if line.is_empty() {
            world = World::with_password(has_password);
        } else if let Some((name, text)) = line.split_once("> ") {
            world.send(name, &[text.as_bytes(), b"\r\n"].concat());
        } else if let Some((name, text)) = line.split_once("! ") {
            world.send(name, &unescape(text));
        }
    }
}

/// What each client has received since the last time, as the transcripts write it.
fn received(world: &mut World) -> BTreeMap<String, String> {
    let texts = world.drain().into_iter().map(|(name, bytes, is_closed)| {
        (
            name,
            escape(&bytes) + if is_closed { "[closed]" } else { "" },
        )
    });
    texts.filter(|(_, text)| !text.is_empty()).collect()
}

/// Writes bytes as the recorder does. Connection ids differ from run to run.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    let id = regex::Regex::new(r"(\$2\\r\\nid\\r\\n:)\d+").unwrap();
    id.replace_all(&text, "${1}ID").into_owned()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other.unwrap(),
            },
            byte => byte,
        });
    }
    bytes
}
