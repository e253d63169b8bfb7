//! MQTT 3.1.1 and 5, QoS 0 to 2.

use super::{Dialect, Event, Part, Refusal, Role, Template, length16};
use crate::cursor::Cursor;
use crate::scenario::Protocol;
use crate::stamp::Stamp;

/// Filters of one SUBSCRIBE: far below any server's limit on one packet.
const FILTERS_PER_PACKET: usize = 1000;

/// MQTT 5 §3.2.2.3.3
const RECEIVE_MAXIMUM: u8 = 0x21;

/// One client.
#[derive(Debug)]
pub(crate) struct Mqtt {
    part: Part,
    templates: Vec<Template>,
    /// Where a template has its packet identifier.
    packet_id_back: usize,
    packet_id: u16,
    /// SUBACKs that have not come yet.
    awaited: usize,
    receive_max: u16,
}

impl Mqtt {
    pub(crate) const fn new(part: Part) -> Self {
        Self {
            part,
            templates: Vec::new(),
            packet_id_back: 0,
            packet_id: 0,
            awaited: 0,
            receive_max: u16::MAX,
        }
    }

    fn is_v5(&self) -> bool {
        self.part.scenario.protocol == Protocol::Mqtt5
    }

    fn connect(&self, out: &mut Vec<u8>) {
        const CLEAN_START: u8 = 0x02;
        const USER: u8 = 0x80;
        const PASSWORD: u8 = 0x40;
        let scenario = &self.part.scenario;
        let login = [(&scenario.user, USER), (&scenario.password, PASSWORD)];
        let given = login.iter().filter(|(text, _)| text.is_some());
        let flags = given.fold(CLEAN_START, |flags, (_, flag)| flags | flag);
        let mut body = vec![
            0,
            4,
            b'M',
            b'Q',
            b'T',
            b'T',
            4 + u8::from(self.is_v5()),
            flags,
            0,
            0,
        ];
        if self.is_v5() {
            // Receive Maximum: as much as it can be, so that the server is not held back.
            body.extend_from_slice(&[3, RECEIVE_MAXIMUM, 0xff, 0xff]);
        }
        let id = format!("load{:x}-{}", self.part.run, self.part.number);
        put_string(&mut body, id.as_bytes());
        for text in login.iter().filter_map(|(text, _)| text.as_ref()) {
            put_string(&mut body, text.as_bytes());
        }
        put_packet(out, 0x10, &body);
    }

    fn template(&self, topic: &str) -> Template {
        let scenario = &self.part.scenario;
        let mut body = Vec::new();
        put_string(&mut body, topic.as_bytes());
        if scenario.qos > 0 {
            body.extend_from_slice(&[0, 0]);
        }
        if self.is_v5() {
            body.push(0);
        }
        body.resize(body.len() + scenario.payload_bytes, b'x');
        let mut frame = Vec::new();
        put_packet(&mut frame, 0x30 | (scenario.qos << 1), &body);
        let payload_at = frame.len() - scenario.payload_bytes;
        Template { frame, payload_at }
    }

    fn prepare(&mut self) {
        self.packet_id_back = 2 + usize::from(self.is_v5());
        self.templates = self
            .part
            .topics
            .iter()
            .map(|topic| self.template(topic))
            .collect();
    }

    fn subscribe(&mut self, out: &mut Vec<u8>) {
        let filters = if self.part.scenario.wildcard && self.part.role == Role::Subscriber {
            vec![format!("{}/#", self.part.prefix())]
        } else {
            self.part.topics.to_vec()
        };
        for filters in filters.chunks(FILTERS_PER_PACKET) {
            self.awaited += 1;
            let mut body = vec![0, 1];
            if self.is_v5() {
                body.push(0);
            }
            for filter in filters {
                put_string(&mut body, filter.as_bytes());
                body.push(self.part.scenario.qos);
            }
            put_packet(out, 0x82, &body);
        }
    }

    fn connected(&mut self, mut body: Cursor<'_>, out: &mut Vec<u8>) -> Option<Event> {
        let flags = body.u8()?;
        let reason = body.u8()?;
        if flags > 1 || reason != 0 {
            return None;
        }
        if self.is_v5() {
            self.read_limits(body);
        }
        match self.part.role {
            Role::Publisher => self.prepare(),
            Role::Subscriber | Role::Idle => self.subscribe(out),
        }
        Some(if self.awaited == 0 {
            Event::Ready
        } else {
            Event::Other
        })
    }

    /// Finds the Receive Maximum, if it stands where servers put it: before any string.
    fn read_limits(&mut self, mut body: Cursor<'_>) {
        let len = body.varint().and_then(|len| usize::try_from(len).ok());
        let Some(mut properties) = len.and_then(|len| body.take(len)).map(Cursor) else {
            return;
        };
        while let Some(id) = properties.u8() {
            let value = match id {
                RECEIVE_MAXIMUM => {
                    self.receive_max = properties.u16().unwrap_or(u16::MAX);
                    return;
                }
                0x11 | 0x27 => properties.take(4),
                0x13 | 0x22 => properties.take(2),
                0x24 | 0x25 | 0x28 | 0x29 | 0x2a => properties.take(1),
                0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                    let len = properties.u16().unwrap_or(0);
                    properties.take(usize::from(len))
                }
                _ => return,
            };
            if value.is_none() {
                return;
            }
        }
    }

    fn delivered(&self, flags: u8, mut body: Cursor<'_>, out: &mut Vec<u8>) -> Option<Event> {
        let topic_len = body.u16()?;
        body.take(usize::from(topic_len))?;
        let qos = (flags >> 1) & 3;
        if qos > 0 {
            let id = body.u16()?;
            // PUBACK or PUBREC.
            put_ack(out, if qos == 1 { 0x40 } else { 0x50 }, id);
        }
        if self.is_v5() {
            let len = body.varint()?;
            body.take(usize::try_from(len).ok()?)?;
        }
        Stamp::read(body.0).map(Event::Delivery)
    }

    fn read_packet(&mut self, head: u8, mut body: Cursor<'_>, out: &mut Vec<u8>) -> Option<Event> {
        match head >> 4 {
            2 => self.connected(body, out),
            3 => self.delivered(head & 0x0f, body, out),
            // PUBACK and PUBCOMP; a reason code from 0x80 on is a refusal.
            4 | 7 => {
                body.u16()?;
                body.u8()
                    .is_none_or(|reason| reason < 0x80)
                    .then_some(Event::Accepted(1))
            }
            // PUBREC asks for PUBREL, PUBREL for PUBCOMP.
            5 => {
                put_ack(out, 0x62, body.u16()?);
                Some(Event::Other)
            }
            6 => {
                put_ack(out, 0x70, body.u16()?);
                Some(Event::Other)
            }
            9 => {
                self.awaited = self.awaited.saturating_sub(1);
                let is_granted = body.0.iter().all(|code| *code < 0x80);
                let event = if self.awaited == 0 {
                    Event::Ready
                } else {
                    Event::Other
                };
                is_granted.then_some(event)
            }
            11 | 13 => Some(Event::Other),
            _ => None,
        }
    }
}

impl Dialect for Mqtt {
    fn open(&mut self, out: &mut Vec<u8>) {
        self.connect(out);
    }

    fn handle(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Event)>, Refusal> {
        let Some((head, body, len)) = split(input) else {
            return Ok(None);
        };
        let event = self.read_packet(head, Cursor(body), out);
        let refusal = || Refusal(format!("packet {head:#04x} {}", body.escape_ascii()));
        Ok(Some((len, event.ok_or_else(refusal)?)))
    }

    fn publish(&mut self, topic: usize, stamp: Stamp, out: &mut Vec<u8>) {
        let Some(template) = self.templates.get(topic) else {
            return;
        };
        let start = template.put(stamp, out);
        if self.part.scenario.qos > 0 {
            self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
            let at = start + template.payload_at - self.packet_id_back;
            if let Some(place) = out.get_mut(at..at + 2) {
                place.copy_from_slice(&self.packet_id.to_be_bytes());
            }
        }
    }

    fn start(&mut self, _out: &mut Vec<u8>) {}

    fn close(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0xe0, 0]);
    }

    fn window_max(&self) -> u32 {
        if self.part.scenario.qos == 0 {
            u32::MAX
        } else {
            u32::from(self.receive_max)
        }
    }
}

/// A whole packet: first byte, body, length of all.
fn split(input: &[u8]) -> Option<(u8, &[u8], usize)> {
    let mut cursor = Cursor(input);
    let head = cursor.u8()?;
    let len = cursor.varint()?;
    let body = cursor.take(usize::try_from(len).ok()?)?;
    Some((head, body, input.len() - cursor.0.len()))
}

fn put_packet(out: &mut Vec<u8>, head: u8, body: &[u8]) {
    out.push(head);
    let mut left = body.len();
    loop {
        let [low, ..] = (left & 0x7f).to_le_bytes();
        left >>= 7;
        out.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
}

fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&length16(text.len()));
    out.extend_from_slice(text);
}

fn put_ack(out: &mut Vec<u8>, head: u8, id: u16) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[head, 2, high, low]);
}
