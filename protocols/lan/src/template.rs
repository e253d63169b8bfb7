//! The topic of what comes in: a fixed one, or one made of where it came from and what topic the
//! datagram itself carries.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use routing::Address;

/// A topic with `{group}`, `{port}`, `{src}` and `{topic}` to be filled in for each datagram.
///
/// Without `{topic}`, what comes out of [`TopicTemplate::render`] is always a valid MQTT topic
/// name: the fixed parts are checked once, and addresses have no character that means anything in a
/// topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Group,
    Port,
    Source,
    Topic,
}

/// Where a datagram was sent, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The group or broadcast address it was sent to.
    pub group: IpAddr,
    /// The port it was sent to.
    pub port: u16,
    /// The sender's address and port.
    pub source: SocketAddr,
}

/// Why a text is no topic template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A topic has at least one character [MQTT-4.7.3-1].
    #[error("must not be empty")]
    Empty,
    /// Filled in, it might exceed the 65,535 bytes of a topic [MQTT-4.7.3-3].
    #[error("must have at most {TEMPLATE_BYTES_MAX} bytes")]
    TooLong,
    /// A `{` without its `}`.
    #[error("has a `{{` without its `}}`")]
    Unclosed,
    /// None of the four placeholders.
    #[error("may hold {{group}}, {{port}}, {{src}} and {{topic}}, and no other braces")]
    UnknownPlaceholder,
    /// Something else that makes it invisible to MQTT: a control character, too many levels.
    #[error("must be an MQTT topic: no control characters, at most 256 levels")]
    NotATopic,
    /// A wildcard, which no topic may hold [MQTT-4.7.1-1].
    #[error("must not hold `+` or `#`: it is a topic, not a filter")]
    Wildcard,
}

/// Non-normative: far above what anybody writes, far below what a topic may hold.
pub const TEMPLATE_BYTES_MAX: usize = 1024;

impl Default for TopicTemplate {
    /// `lan/{group}/{port}/{src}`: every sender has its own topic.
    fn default() -> Self {
        let slash = || Part::Fixed("/".to_owned());
        let prefix = Part::Fixed("lan/".to_owned());
        Self {
            parts: vec![
                prefix,
                Part::Group,
                slash(),
                Part::Port,
                slash(),
                Part::Source,
            ],
        }
    }
}

impl TopicTemplate {
    /// Reads a template as the configuration writes it.
    ///
    /// # Errors
    /// [`BadTemplate`] says what would be right.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        match text.len() {
            0 => return Err(BadTemplate::Empty),
            1..=TEMPLATE_BYTES_MAX => {}
            _ => return Err(BadTemplate::TooLong),
        }
        if text.contains(['+', '#']) {
            return Err(BadTemplate::Wildcard);
        }
        // Addresses change nothing in this: they are digits and dots.
        if !Address::new(text.to_owned().into()).is_topic() {
            return Err(BadTemplate::NotATopic);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((fixed, behind)) = rest.split_once('{') {
            push_fixed(&mut parts, fixed)?;
            let (name, behind) = behind.split_once('}').ok_or(BadTemplate::Unclosed)?;
            parts.push(match name {
                "group" => Part::Group,
                "port" => Part::Port,
                "src" => Part::Source,
                "topic" => Part::Topic,
                _ => return Err(BadTemplate::UnknownPlaceholder),
            });
            rest = behind;
        }
        push_fixed(&mut parts, rest)?;
        Ok(Self { parts })
    }

    /// The topic that the datagram carries.
    #[must_use]
    pub fn carried() -> Self {
        Self {
            parts: vec![Part::Topic],
        }
    }

    /// Whether it needs a topic that the datagram carries.
    #[must_use]
    pub fn has_topic(&self) -> bool {
        self.parts.contains(&Part::Topic)
    }

    /// The topic of one datagram, which carries the topic `carried`.
    #[must_use]
    pub fn render(&self, envelope: Envelope, carried: &str) -> String {
        let mut topic = String::new();
        for part in &self.parts {
            match part {
                Part::Fixed(text) => topic.push_str(text),
                Part::Group => topic.push_str(&envelope.group.to_string()),
                Part::Port => topic.push_str(&envelope.port.to_string()),
                Part::Source => topic.push_str(&envelope.source.ip().to_string()),
                Part::Topic => topic.push_str(carried),
            }
        }
        topic
    }
}

fn push_fixed(parts: &mut Vec<Part>, text: &str) -> Result<(), BadTemplate> {
    if text.contains('}') {
        return Err(BadTemplate::UnknownPlaceholder);
    }
    if !text.is_empty() {
        parts.push(Part::Fixed(text.to_owned()));
    }
    Ok(())
}

/// As the configuration writes it.
impl fmt::Display for TopicTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            formatter.write_str(match part {
                Part::Fixed(text) => text,
                Part::Group => "{group}",
                Part::Port => "{port}",
                Part::Source => "{src}",
                Part::Topic => "{topic}",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ENVELOPE: Envelope = Envelope {
        group: IpAddr::V4(Ipv4Addr::new(239, 192, 0, 1)),
        port: 5000,
        source: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 77, 0, 5)), 4000),
    };

    #[test]
    fn placeholders_are_filled_in() {
        let render = |text| TopicTemplate::parse(text).unwrap().render(ENVELOPE, "a/b");
        assert_eq!(render("plant/line1/temp"), "plant/line1/temp");
        assert_eq!(
            render("lan/{group}/{port}/{src}"),
            "lan/239.192.0.1/5000/10.77.0.5"
        );
        assert_eq!(render("{src}{src}x"), "10.77.0.510.77.0.5x");
        assert_eq!(render("line/{topic}"), "line/a/b");
    }

    #[test]
    fn the_default_reads_as_it_writes() {
        let text = TopicTemplate::default().to_string();
        assert_eq!(text, "lan/{group}/{port}/{src}");
        assert_eq!(TopicTemplate::parse(&text), Ok(TopicTemplate::default()));
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        for (text, reason) in [
            ("", BadTemplate::Empty),
            ("a/#", BadTemplate::Wildcard),
            ("a/+/b", BadTemplate::Wildcard),
            ("a\0b", BadTemplate::NotATopic),
            ("a/{src", BadTemplate::Unclosed),
            ("a/{host}", BadTemplate::UnknownPlaceholder),
            ("a}b", BadTemplate::UnknownPlaceholder),
        ] {
            assert_eq!(TopicTemplate::parse(text), Err(reason), "{text:?}");
        }
        let deep = "/".repeat(256);
        assert_eq!(TopicTemplate::parse(&deep), Err(BadTemplate::NotATopic));
        let long = "x".repeat(TEMPLATE_BYTES_MAX + 1);
        assert_eq!(TopicTemplate::parse(&long), Err(BadTemplate::TooLong));
    }
}
