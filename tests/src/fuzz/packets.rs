//! Packets of a codec, without a connection around them.

use bytes::BytesMut;
use mqtt::wire::{self, Malformed, Packet, Sender, SizeLimits, Version};

/// MQTT packets of either end in every version, whole and byte by byte: the verdicts agree.
///
/// The first byte says which version and whose packets; the rest are the bytes.
pub fn mqtt_packets(input: &[u8]) {
    let Some((head, bytes)) = input.split_first() else {
        return;
    };
    let version = match head & 3 {
        0 => Version::V31,
        1 => Version::V311,
        _ => Version::V5,
    };
    let sender = if head & 4 == 0 {
        Sender::Client
    } else {
        Sender::Server
    };
    let mut whole = BytesMut::from(bytes);
    let at_once = decode_all(&mut whole, version, sender);
    let mut dripped = Vec::new();
    let mut buffer = BytesMut::new();
    for byte in bytes {
        buffer.extend_from_slice(&[*byte]);
        let more = decode_all(&mut buffer, version, sender);
        let is_over = matches!(more.last(), Some(Err(_)));
        dripped.extend(more);
        if is_over {
            break;
        }
    }
    assert_eq!(format!("{at_once:?}"), format!("{dripped:?}"));
    connect(bytes);
}

/// Every packet that is there, and the fault behind the last.
fn decode_all(
    input: &mut BytesMut,
    version: Version,
    sender: Sender,
) -> Vec<Result<Packet, Malformed>> {
    let mut verdicts = Vec::new();
    loop {
        match wire::decode(input, version, sender, &SizeLimits::default()) {
            Ok(Some(packet)) => verdicts.push(Ok(packet)),
            Ok(None) => return verdicts,
            Err(why) => {
                verdicts.push(Err(why));
                return verdicts;
            }
        }
    }
}

/// A CONNECT that is taken is taken again as it is written.
fn connect(bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    let Ok(Some(connect)) = wire::decode_connect(&mut input, &SizeLimits::default()) else {
        return;
    };
    let mut written = Vec::new();
    connect.encode(&mut written);
    let mut again = BytesMut::from(written.as_slice());
    let read = wire::decode_connect(&mut again, &SizeLimits::default());
    assert_eq!(
        format!("{:?}", Some(connect)),
        format!("{:?}", read.ok().flatten())
    );
}
