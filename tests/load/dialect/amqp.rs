//! AMQP 0-9-1: one channel, one queue or exchange per group.

use std::collections::VecDeque;

use super::{Dialect, Event, Part, Refusal, Role, Template};
use crate::cursor::Cursor;
use crate::scenario::Target;
use crate::stamp::Stamp;

mod method;

use method::Arguments;

/// What the server's tune may leave open, and our own limit. AMQP 0-9-1 §1.4.2.6
const FRAME_BYTES: u32 = 128 * 1024;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// A message that is arriving.
#[derive(Debug, Default)]
struct Arriving {
    tag: u64,
    bytes_left: u64,
    stamp: Option<Stamp>,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Amqp {
    part: Part,
    templates: Vec<Template>,
    frame_bytes: usize,
    /// Replies that belong to the set-up and have not come yet.
    awaited: usize,
    arriving: Arriving,
    unacknowledged: u32,
    /// Publishes that the server has not confirmed; the first has the tag `confirmed + 1`.
    unconfirmed: VecDeque<bool>,
    confirmed: u64,
}

impl Amqp {
    pub(crate) fn new(part: Part) -> Self {
        Self {
            part,
            templates: Vec::new(),
            frame_bytes: usize::try_from(FRAME_BYTES).unwrap_or(usize::MAX),
            awaited: 0,
            arriving: Arriving::default(),
            unacknowledged: 0,
            unconfirmed: VecDeque::new(),
            confirmed: 0,
        }
    }

    fn exchange(&self) -> String {
        match self.part.scenario.target {
            Target::Queue => String::new(),
            Target::Fanout | Target::Topic => self.part.prefix(),
        }
    }

    /// The queues that this connection consumes from.
    fn queues(&self) -> Vec<String> {
        match self.part.scenario.target {
            Target::Queue => self.part.topics.to_vec(),
            Target::Fanout | Target::Topic => {
                vec![format!("{}-{}", self.part.prefix(), self.part.number)]
            }
        }
    }

    fn has_queues(&self) -> bool {
        let scenario = &self.part.scenario;
        match self.part.role {
            Role::Subscriber => true,
            Role::Publisher => scenario.target == Target::Queue && scenario.subscribers == 0,
            Role::Idle => !self.part.topics.is_empty(),
        }
    }

    fn set_up(&mut self, out: &mut Vec<u8>) {
        let scenario = std::sync::Arc::clone(&self.part.scenario);
        if scenario.target != Target::Queue && self.part.role != Role::Idle {
            let kind = if scenario.target == Target::Fanout {
                "fanout"
            } else {
                "topic"
            };
            self.expect(&method::exchange_declare(&self.exchange(), kind), out);
        }
        if self.has_queues() {
            for queue in self.queues() {
                self.expect(&method::queue_declare(&queue, scenario.durable), out);
                self.bind(&queue, out);
            }
        }
        if scenario.confirm && self.part.role == Role::Publisher {
            self.expect(&method::confirm_select(), out);
        }
        if self.part.role == Role::Publisher {
            let templates = self.part.topics.iter().map(|topic| self.template(topic));
            self.templates = templates.collect();
        }
        if self.part.role == Role::Subscriber {
            if scenario.acknowledges {
                self.expect(&method::basic_qos(scenario.prefetch), out);
            }
            if scenario.prefill == 0 {
                self.consume(out);
            }
        }
    }

    fn bind(&mut self, queue: &str, out: &mut Vec<u8>) {
        let exchange = match (self.part.scenario.target, self.part.role) {
            (Target::Queue, _) => return,
            (_, Role::Idle) => "amq.topic".to_owned(),
            _ => self.exchange(),
        };
        let keys = match self.part.scenario.target {
            Target::Fanout if self.part.role != Role::Idle => vec![String::new()],
            Target::Topic if self.part.scenario.wildcard && self.part.role != Role::Idle => {
                vec!["#".to_owned()]
            }
            _ => self
                .part
                .topics
                .iter()
                .map(|topic| topic.replace('/', "."))
                .collect(),
        };
        for key in keys {
            self.expect(&method::queue_bind(queue, &exchange, &key), out);
        }
    }

    fn consume(&mut self, out: &mut Vec<u8>) {
        for queue in self.queues() {
            let is_automatic = !self.part.scenario.acknowledges;
            self.expect(&method::basic_consume(&queue, is_automatic), out);
        }
    }

    /// Sends a method that is answered.
    fn expect(&mut self, arguments: &Arguments, out: &mut Vec<u8>) {
        self.awaited += 1;
        arguments.put_frame(1, out);
    }

    fn template(&self, topic: &str) -> Template {
        let scenario = &self.part.scenario;
        let mut frame = Vec::new();
        let key = match scenario.target {
            Target::Queue => topic.to_owned(),
            Target::Fanout | Target::Topic => topic.replace('/', "."),
        };
        method::basic_publish(&self.exchange(), &key).put_frame(1, &mut frame);
        method::put_header(scenario.payload_bytes, scenario.durable, &mut frame);
        let payload_at = frame.len() + method::FRAME_HEAD_BYTES;
        let body = vec![b'x'; scenario.payload_bytes];
        for piece in body.chunks(self.frame_bytes - method::FRAME_OVERHEAD_BYTES) {
            method::put_frame(BODY, 1, piece, &mut frame);
        }
        Template { frame, payload_at }
    }

    fn read_method(&mut self, mut body: Cursor<'_>, out: &mut Vec<u8>) -> Option<Event> {
        let class = body.u16()?;
        let id = body.u16()?;
        match (class, id) {
            (10, 10) => {
                let scenario = &self.part.scenario;
                let user = scenario.user.as_deref().unwrap_or("guest");
                let password = scenario.password.as_deref().unwrap_or("guest");
                method::start_ok(user, password).put_frame(0, out);
            }
            (10, 30) => self.tune(body, out)?,
            (10, 41) => method::channel_open().put_frame(1, out),
            (20, 11) => {
                self.set_up(out);
                return Some(self.progress());
            }
            // The answers to what the set-up asked for.
            (40, 11) | (50, 11 | 21) | (60, 11 | 21) | (85, 11) => {
                self.awaited = self.awaited.saturating_sub(1);
                return Some(self.progress());
            }
            (60, 60) => {
                body.short_string()?;
                self.arriving.tag = body.u64()?;
                self.arriving.stamp = None;
            }
            (60, 80) => {
                let tag = body.u64()?;
                let is_multiple = body.u8()? & 1 == 1;
                return Some(Event::Accepted(self.confirm(tag, is_multiple)));
            }
            _ => return None,
        }
        Some(Event::Other)
    }

    const fn progress(&self) -> Event {
        if self.awaited == 0 {
            Event::Ready
        } else {
            Event::Other
        }
    }

    fn tune(&mut self, mut body: Cursor<'_>, out: &mut Vec<u8>) -> Option<()> {
        let channel_max = body.u16()?;
        let offered = body.u32()?;
        let frame_bytes = if offered == 0 {
            FRAME_BYTES
        } else {
            offered.min(FRAME_BYTES)
        };
        self.frame_bytes = usize::try_from(frame_bytes).ok()?;
        method::tune_ok(channel_max, frame_bytes).put_frame(0, out);
        method::connection_open(&self.part.scenario.vhost).put_frame(0, out);
        Some(())
    }

    /// How many publishes this confirm is about.
    fn confirm(&mut self, tag: u64, is_multiple: bool) -> u32 {
        let Ok(index) = usize::try_from(tag.saturating_sub(self.confirmed + 1)) else {
            return 0;
        };
        let first = if is_multiple { 0 } else { index };
        let mut count = 0;
        for state in self.unconfirmed.range_mut(first.min(index)..=index) {
            count += u32::from(!std::mem::replace(state, true));
        }
        while self.unconfirmed.front() == Some(&true) {
            self.unconfirmed.pop_front();
            self.confirmed += 1;
        }
        count
    }

    fn read_header(&mut self, mut body: Cursor<'_>) -> Option<Event> {
        body.u32()?;
        self.arriving.bytes_left = body.u64()?;
        Some(Event::Other)
    }

    fn read_body(&mut self, body: Cursor<'_>, out: &mut Vec<u8>) -> Option<Event> {
        let stamp = self.arriving.stamp.or_else(|| Stamp::read(body.0));
        self.arriving.stamp = stamp;
        let bytes = u64::try_from(body.0.len()).ok()?;
        self.arriving.bytes_left = self.arriving.bytes_left.saturating_sub(bytes);
        if self.arriving.bytes_left > 0 {
            return Some(Event::Other);
        }
        self.acknowledge(out);
        stamp.map(Event::Delivery)
    }

    fn acknowledge(&mut self, out: &mut Vec<u8>) {
        if !self.part.scenario.acknowledges {
            return;
        }
        self.unacknowledged += 1;
        if self.unacknowledged >= self.part.scenario.ack_every {
            let is_multiple = self.unacknowledged > 1;
            method::put_ack(self.arriving.tag, is_multiple, out);
            self.unacknowledged = 0;
        }
    }
}

impl Dialect for Amqp {
    fn open(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"AMQP\x00\x00\x09\x01");
    }

    fn handle(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Event)>, Refusal> {
        let Some((kind, body, len)) = method::split(input) else {
            return Ok(None);
        };
        let event = match kind {
            METHOD => self.read_method(Cursor(body), out),
            HEADER => self.read_header(Cursor(body)),
            BODY => self.read_body(Cursor(body), out),
            // Heartbeats need no answer.
            _ => Some(Event::Other),
        };
        let refusal = || Refusal(format!("frame {kind} {}", body.escape_ascii()));
        Ok(Some((len, event.ok_or_else(refusal)?)))
    }

    fn publish(&mut self, topic: usize, stamp: Stamp, out: &mut Vec<u8>) {
        if let Some(template) = self.templates.get(topic) {
            template.put(stamp, out);
            if self.part.scenario.confirm {
                self.unconfirmed.push_back(false);
            }
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.part.role == Role::Subscriber && self.part.scenario.prefill > 0 {
            self.consume(out);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.has_queues() {
            for queue in self.queues() {
                method::queue_delete(&queue).put_frame(1, out);
            }
        }
        if self.part.role == Role::Publisher && self.part.scenario.target != Target::Queue {
            method::exchange_delete(&self.exchange()).put_frame(1, out);
        }
        method::connection_close().put_frame(0, out);
    }

    fn window_max(&self) -> u32 {
        u32::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn confirms_are_counted_once_in_any_order() {
        let mut amqp = Amqp::new(Part {
            role: Role::Publisher,
            scenario: Scenario::default().into(),
            run: 0,
            number: 0,
            group: 0,
            topics: Vec::new().into(),
        });
        amqp.unconfirmed = vec![false; 5].into();
        assert_eq!(amqp.confirm(2, false), 1);
        assert_eq!(amqp.confirm(3, true), 2);
        assert_eq!(amqp.confirm(5, true), 2);
        assert_eq!((amqp.confirmed, amqp.unconfirmed.len()), (5, 0));
    }
}
