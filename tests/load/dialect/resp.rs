//! RESP2 publish/subscribe: `PUBLISH`, `SUBSCRIBE`, `PSUBSCRIBE`.

use super::{Dialect, Event, Part, Refusal, Role, Template};
use crate::stamp::Stamp;

/// Channels of one SUBSCRIBE: far below any server's limit on one request.
const CHANNELS_PER_REQUEST: usize = 1000;

/// One client.
#[derive(Debug)]
pub(crate) struct Resp {
    part: Part,
    templates: Vec<Template>,
    /// Subscriptions that are not confirmed yet.
    awaited: usize,
}

/// A reply: its length, its kind by the first element, the last element.
struct Reply<'a> {
    len: usize,
    kind: &'a [u8],
    last: &'a [u8],
}

impl Resp {
    pub(crate) const fn new(part: Part) -> Self {
        Self {
            part,
            templates: Vec::new(),
            awaited: 0,
        }
    }

    fn template(&self, channel: &str) -> Template {
        let bytes = self.part.scenario.payload_bytes;
        let mut frame = Vec::new();
        put_request(
            &mut frame,
            &[b"PUBLISH", channel.as_bytes(), &vec![b'x'; bytes]],
        );
        let payload_at = frame.len() - bytes - 2;
        Template { frame, payload_at }
    }

    fn subscribe(&mut self, out: &mut Vec<u8>) {
        if self.part.scenario.wildcard && self.part.role == Role::Subscriber {
            let pattern = format!("{}/*", self.part.prefix());
            put_request(out, &[b"PSUBSCRIBE", pattern.as_bytes()]);
            self.awaited = 1;
            return;
        }
        self.awaited = self.part.topics.len();
        for channels in self.part.topics.chunks(CHANNELS_PER_REQUEST) {
            let mut words: Vec<&[u8]> = vec![b"SUBSCRIBE"];
            words.extend(channels.iter().map(String::as_bytes));
            put_request(out, &words);
        }
    }
}

impl Dialect for Resp {
    fn open(&mut self, out: &mut Vec<u8>) {
        let scenario = &self.part.scenario;
        if let (Some(user), Some(password)) = (&scenario.user, &scenario.password) {
            put_request(out, &[b"AUTH", user.as_bytes(), password.as_bytes()]);
        }
        if self.part.role == Role::Publisher {
            let templates = self.part.topics.iter().map(|topic| self.template(topic));
            self.templates = templates.collect();
        }
        if self.part.role == Role::Publisher || self.part.topics.is_empty() {
            put_request(out, &[b"PING"]);
        } else {
            self.subscribe(out);
        }
    }

    fn handle(
        &mut self,
        input: &[u8],
        _out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Event)>, Refusal> {
        let Some(reply) = read(input).map_err(|()| refused(input))? else {
            return Ok(None);
        };
        let event = match reply.kind {
            b"message" | b"pmessage" => {
                Event::Delivery(Stamp::read(reply.last).ok_or_else(|| refused(input))?)
            }
            b":" => Event::Accepted(1),
            b"+" if reply.last == b"PONG" => Event::Ready,
            b"+" => Event::Other,
            b"subscribe" | b"psubscribe" => {
                self.awaited = self.awaited.saturating_sub(1);
                if self.awaited == 0 {
                    Event::Ready
                } else {
                    Event::Other
                }
            }
            _ => return Err(refused(input)),
        };
        Ok(Some((reply.len, event)))
    }

    fn publish(&mut self, topic: usize, stamp: Stamp, out: &mut Vec<u8>) {
        if let Some(template) = self.templates.get(topic) {
            template.put(stamp, out);
        }
    }

    fn start(&mut self, _out: &mut Vec<u8>) {}

    fn close(&mut self, _out: &mut Vec<u8>) {}

    fn window_max(&self) -> u32 {
        u32::MAX
    }
}

fn put_request(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn refused(input: &[u8]) -> Refusal {
    let start = input.get(..200).unwrap_or(input);
    Refusal(start.escape_ascii().to_string())
}

/// Reads one reply of the kinds that publishing and subscribing lead to.
fn read(input: &[u8]) -> Result<Option<Reply<'_>>, ()> {
    let mut rest = input;
    let Some((kind, line)) = line(&mut rest) else {
        return Ok(None);
    };
    match kind {
        b":" | b"+" => Ok(Some(Reply {
            len: input.len() - rest.len(),
            kind,
            last: line,
        })),
        b"*" => array(input, rest, number(line)),
        _ => Err(()),
    }
}

fn array<'a>(input: &'a [u8], mut rest: &'a [u8], count: usize) -> Result<Option<Reply<'a>>, ()> {
    let mut kind: &[u8] = &[];
    let mut last: &[u8] = &[];
    for index in 0..count {
        let Some((sigil, text)) = line(&mut rest) else {
            return Ok(None);
        };
        last = match sigil {
            b":" => text,
            b"$" => {
                let len = number(text);
                let Some((bulk, after)) = rest.split_at_checked(len + 2) else {
                    return Ok(None);
                };
                rest = after;
                bulk.get(..len).ok_or(())?
            }
            _ => return Err(()),
        };
        if index == 0 {
            kind = last;
        }
    }
    let len = input.len() - rest.len();
    Ok(Some(Reply { len, kind, last }))
}

/// Takes a line off: its first byte, and the others without the line's end.
fn line<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    let (line, after) = rest.split_at_checked(end + 2)?;
    *rest = after;
    line.get(..end)?.split_at_checked(1)
}

fn number(digits: &[u8]) -> usize {
    digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + usize::from(digit & 0x0f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_only_when_it_is_whole() {
        let text = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n:1\r\n";
        for end in 0..text.len() - 4 {
            assert!(read(&text[..end]).unwrap().is_none(), "at {end}");
        }
        let reply = read(text).unwrap().unwrap();
        assert_eq!(
            (reply.len, reply.kind, reply.last),
            (32, &b"message"[..], &b"hi"[..])
        );
        assert!(read(b"-ERR no\r\n").is_err());
    }
}
