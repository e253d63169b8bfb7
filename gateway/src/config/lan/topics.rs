//! `[[lan.topics]]`: what a link's codec calls a topic.

use bytes::Bytes;
use lan::{CHANNEL_BYTES_MAX, Field, MappedTopic};
use routing::Address;

use crate::config::section::Section;

/// Fields of one data set: more than fit a datagram.
const FIELDS_MAX: usize = 1000;

/// A topic that messages can have.
pub(crate) fn read_topic_name(section: &mut Section<'_>) -> Bytes {
    section.parsed("topic", "a topic", Bytes::new(), |text| {
        let address = Address::new(text.to_owned().into());
        let right = "must be an MQTT topic without wildcards";
        let topic = address.is_topic().then(|| address.as_bytes().clone());
        topic.ok_or_else(|| right.to_owned())
    })
}

pub(crate) fn read_topic(section: &mut Section<'_>) -> MappedTopic {
    section.require("topic", "\"plant/line1/temp\"");
    let topic = read_topic_name(section);
    let id = section.integer("id", 1..=u16::MAX, 1);
    let id = section.has("id").then_some(id);
    let channel = section.parsed("channel", "a channel", None, |text| {
        let is_channel = (1..=CHANNEL_BYTES_MAX).contains(&text.len()) && !text.contains('\0');
        let right = format!("must have 1 to {CHANNEL_BYTES_MAX} bytes");
        is_channel
            .then(|| Some(Bytes::from(text.to_owned())))
            .ok_or(right)
    });
    let fields = section.parsed_list("fields", "a field", Vec::new(), |text| {
        text.parse::<Field>().map_err(|reason| reason.to_string())
    });
    let is_alone = fields.iter().all(|field| !field.name.is_empty()) || fields.len() == 1;
    if !is_alone || fields.len() > FIELDS_MAX {
        let right = "name each, as in \"temp:Double\"; only a field that is alone needs no name";
        section.refuse_key("fields", "several fields need names", right);
    }
    MappedTopic {
        topic,
        id,
        channel,
        fields,
    }
}
