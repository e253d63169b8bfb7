//! A line: one device's MQTT connection, driven as any other, by a pipe in memory instead of a
//! socket.

use std::sync::Arc;

use bytes::BytesMut;
use lan::sn::{Downward, Line, Upward};
use routing::{ConnectionId, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;

use super::words::{decode, encode};
use crate::connection::{Conditions, drive};

/// Bytes that either end may be ahead of the other.
const PIPE_BYTES: usize = 16 * 1024;

/// Words that a device may be ahead of its line. Beyond that, QoS 0 is dropped.
const WORDS_MAX: usize = 256;

/// What all lines of one gateway have in common.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) conditions: Arc<Conditions>,
    pub(super) mqtt: Arc<mqtt::Settings>,
    /// What the names of devices begin with.
    pub(super) client_id_prefix: String,
    /// QoS 1 and 2 messages that may be on their way to one device.
    pub(super) receive_max: u16,
}

/// Opens a line; what the MQTT side says goes to `words`, at last that it is closed.
pub(super) fn open(
    terms: &Arc<Terms>,
    line: Line,
    peer: Peer,
    words: mpsc::Sender<(Line, Downward)>,
) -> mpsc::Sender<Upward> {
    let (sender, upward) = mpsc::channel(WORDS_MAX);
    let (near, far) = duplex(PIPE_BYTES);
    let (reader, writer) = split(near);
    let conditions = Arc::clone(&terms.conditions);
    let shared = Arc::clone(&conditions.shared);
    let id = ConnectionId::unique();
    let (broker, now) = (Arc::clone(&shared.broker), shared.clock.now());
    let front = mqtt::Connection::new(broker, Arc::clone(&terms.mqtt), id, peer, now);
    let terms = Arc::clone(terms);
    shared.shutdown.spawn("mqtt_sn", async move {
        let sizes = terms.mqtt.sizes;
        tokio::join!(
            Box::pin(drive(id, front, far, peer, conditions)),
            speak(writer, upward, &terms),
            hear(reader, &sizes, line, words),
        );
    });
    sender
}

/// Passes on what the device does, until it is lost or the gateway lets go of the line.
async fn speak(
    mut writer: WriteHalf<DuplexStream>,
    mut upward: mpsc::Receiver<Upward>,
    terms: &Terms,
) {
    let mut bytes = Vec::new();
    while let Some(word) = upward.recv().await {
        bytes.clear();
        encode(
            &word,
            &terms.client_id_prefix,
            terms.receive_max,
            &mut bytes,
        );
        let written = writer.write_all(&bytes).await;
        if word == Upward::Lost || written.is_err() {
            break;
        }
    }
    // The driver sees the end, which is all there is to say.
    writer.shutdown().await.unwrap_or_default();
}

async fn hear(
    mut reader: ReadHalf<DuplexStream>,
    sizes: &mqtt::wire::SizeLimits,
    line: Line,
    words: mpsc::Sender<(Line, Downward)>,
) {
    let mut input = BytesMut::new();
    loop {
        match decode(&mut input, sizes) {
            Ok(Some(word)) => {
                // Without a gateway there is nobody to hear it.
                if words.send((line, word)).await.is_err() {
                    return;
                }
            }
            Ok(None)
                if reader
                    .read_buf(&mut input)
                    .await
                    .is_ok_and(|bytes| bytes > 0) => {}
            _ => break,
        }
    }
    words
        .send((line, Downward::Closed))
        .await
        .unwrap_or_default();
}
