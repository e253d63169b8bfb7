//! LAN links that would send messages round and round. Datagrams of most codecs say nothing of who
//! has forwarded them, so only the configuration can tell; those of `rlan` do.

use std::net::SocketAddr;

use lan::{Envelope, TopicTemplate};
use routing::{Address, TopicFilter};

use super::Rules;
use crate::config::LanLink;

/// What stands for any topic that a datagram may carry: nobody's, so that no filter but a wildcard
/// fits by chance.
const ANY: &str = "any topic";

impl Rules<'_> {
    /// Two links of one gateway that hear each other, and two gateways that each forward between
    /// the same two networks. One link with both directions knows its own datagrams.
    pub(super) fn check_lan_loops(&self) {
        let links = &self.config.lan;
        for (index, sender) in links.iter().enumerate() {
            for receiver in links.iter().filter(|it| !std::ptr::eq(*it, sender)) {
                if breaks_loops(sender, receiver) {
                    continue;
                }
                let is_heard = is_same_network(sender, receiver);
                if let Some(topic) = forwards(receiver, sender).filter(|_| is_heard) {
                    self.report_circle(index, sender, receiver, &topic);
                }
            }
            for other in links.iter().skip(index + 1) {
                let there = forwards(sender, other);
                let back = forwards(other, sender);
                if let (Some(topic), Some(_)) = (there, back)
                    && !breaks_loops(sender, other)
                    && !is_same_network(sender, other)
                    && may_share(sender, other)
                {
                    self.report_bridge(index, sender, other, &topic);
                }
            }
        }
    }

    fn report_circle(&self, index: usize, sender: &LanLink, receiver: &LanLink, topic: &str) {
        let names = (&sender.name, &receiver.name);
        let title = format!("LAN links `{}` and `{}` go in a circle", names.0, names.1);
        let right = format!("this sends `{topic}`, which is what `{}` hears", names.1);
        self.report(title, &format!("lan.{index}.filters"), right);
    }

    fn report_bridge(&self, index: usize, one: &LanLink, other: &LanLink, topic: &str) {
        let names = (&one.name, &other.name);
        let title = format!(
            "LAN links `{}` and `{}` forward to each other",
            names.0, names.1
        );
        let right = format!(
            "a second gateway like this one would send `{topic}` round and round: \
             give what comes in a topic that the other's filters do not match"
        );
        self.report(title, &format!("lan.{index}.filters"), right);
    }
}

/// Whether messages say where they have been, on both.
fn breaks_loops(one: &LanLink, other: &LanLink) -> bool {
    one.codec.breaks_loops() && other.codec.breaks_loops()
}

fn is_same_network(one: &LanLink, other: &LanLink) -> bool {
    (one.destination, one.port) == (other.destination, other.port)
}

/// The topic of what comes in by one link and goes out by another.
fn forwards(from: &LanLink, to: &LanLink) -> Option<String> {
    let is_joined = from.direction.receives() && to.direction.sends() && from.vhost == to.vhost;
    let envelope = Envelope {
        group: from.destination.address(),
        port: from.port,
        source: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let topic = from.topic.render(envelope, ANY);
    let address = Address::new(topic.clone().into());
    // Any topic: whatever the other sends may come in here.
    let is_any = is_any_topic(from);
    let is_sent = is_any || to.filters.iter().any(|filter| filter.matches(&address));
    (is_joined && is_sent).then_some(topic)
}

/// Whether what comes in keeps the topic that it had on the network.
fn is_any_topic(link: &LanLink) -> bool {
    link.topic == TopicTemplate::carried()
}

/// Whether a message may go out by both links under one topic. Only then can it come back, if
/// topics are kept on the way.
fn may_share(one: &LanLink, other: &LanLink) -> bool {
    let overlap = |filter: &TopicFilter| other.filters.iter().any(|it| overlaps(filter, it));
    !(is_any_topic(one) && is_any_topic(other)) || one.filters.iter().any(overlap)
}

/// Whether there is a topic that both filters match.
fn overlaps(one: &TopicFilter, other: &TopicFilter) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    let (mut ones, mut others) = (one.split('/'), other.split('/'));
    loop {
        match (ones.next(), others.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(a), Some(b)) if a == "+" || b == "+" || a == b => {}
            _ => return false,
        }
    }
}
