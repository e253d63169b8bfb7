//! Any bytes, in any pieces: the same answers, and never more than a closed connection.

use proptest::prelude::*;
use resp::Settings;

use crate::world::World;

/// Everything that two clients receive when one of them sends `chunks`.
fn play<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (String, String, bool) {
    let mut world = World::new(Settings::default());
    world.ask("listener", "PSUBSCRIBE *");
    let mut received = String::new();
    for chunk in chunks {
        if world.is_closed("a") {
            break;
        }
        world.send("a", chunk);
        received += &world.received("a");
    }
    let is_closed = world.is_closed("a");
    (received, world.received("listener"), is_closed)
}

const WORDS: &[&str] = &[
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SSUBSCRIBE",
    "SUNSUBSCRIBE",
    "PUBLISH",
    "SPUBLISH",
    "PUBSUB",
    "PING",
    "ECHO",
    "AUTH",
    "SELECT",
    "CLIENT",
    "SETNAME",
    "GETNAME",
    "REPLY",
    "ON",
    "OFF",
    "SKIP",
    "TRACKING",
    "COMMAND",
    "CONFIG",
    "GET",
    "SET",
    "DEL",
    "EXISTS",
    "EXPIRE",
    "TTL",
    "INCR",
    "FLUSHALL",
    "CHANNELS",
    "NUMSUB",
    "NUMPAT",
    "INFO",
    "a",
    "b",
    "a*",
    "0",
    "1",
    "3",
    "10",
    "\"x y\"",
    "\"",
    "key",
    "$retain/a",
    "$reply/q",
    "EX",
    "NX",
];

/// Those that change how answers are written, or put several into one.
const MORE_WORDS: &[&str] = &[
    "HELLO", "2", "3", "RESET", "QUIT", "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH",
];

fn line(words: Vec<&'static str>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(words), 1..5)
        .prop_map(|words| [words.join(" ").as_bytes(), b"\r\n"].concat())
}

/// Requests from which every command and many a mistake come about.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => line([WORDS, MORE_WORDS].concat()),
        2 => Just(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$2\r\nhi\r\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// `CLIENT ID` and `HELLO` tell the connection's number, which no other connection has.
fn without_ids(text: &str) -> String {
    let id = regex::Regex::new(r"(\$2\\r\\nid\\r\\n:)\d+").unwrap();
    id.replace_all(text, "${1}ID").into_owned()
}

proptest! {
    #[test]
    fn any_split_of_any_script_gives_the_same_answers(
        script in script(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(script.len() + 1)).collect();
        cuts.extend([0, script.len()]);
        cuts.sort_unstable();
        let whole = play([&script[..]]);
        let split = play(cuts.windows(2).map(|cut| &script[cut[0]..cut[1]]));
        prop_assert_eq!(without_ids(&split.0), without_ids(&whole.0));
        prop_assert_eq!((split.1, split.2), (whole.1, whole.2));
    }

    #[test]
    fn another_implementation_reads_every_answer(
        script in prop::collection::vec(line(WORDS.to_vec()), 0..20),
    ) {
        use redis_protocol::resp3::{decode::complete::decode, types::OwnedFrame};
        let mut world = World::new(Settings::default());
        world.send("a", b"HELLO 3\r\n");
        world.send("a", &script.concat());
        let answers = std::mem::take(&mut world.client("a").out).to_vec();
        let mut rest = &answers[..];
        while !rest.is_empty() {
            let decoded: Result<Option<(OwnedFrame, usize)>, _> = decode(rest);
            let frame = decoded.ok().flatten();
            prop_assert!(frame.is_some(), "{}", rest.escape_ascii());
            rest = frame.map(|(_, bytes)| &rest[bytes..]).unwrap_or_default();
        }
    }
}
