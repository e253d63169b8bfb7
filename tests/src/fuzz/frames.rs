//! The AMQP codec alone, which the whole connection reaches only behind a handshake.
//!
//! ```text
//! u8 split, bytes    a stream of frames: in one piece, then cut after every `split + 1` bytes
//! ```

use std::collections::VecDeque;

use amqp::wire::{
    Malformed,
    content::{CLASS_BASIC, ContentHeader},
    frame::{Batch, Frame, FrameLimit, FrameType},
    method_id::MethodId,
    methods::Method,
    publish::Publish,
    settle::Settle,
};
use bytes::BytesMut;

/// What a client may send after it was offered the default.
const LIMIT: FrameLimit = FrameLimit {
    frame_max: 128 * 1024,
    frames_max: usize::MAX,
};

/// A stream of frames: whatever its pieces, the same frames come out, and each is read to its end;
/// a publish that is read in one go says what its frames say.
pub fn amqp_frames(input: &[u8]) {
    let Some((split, stream)) = input.split_first() else {
        return;
    };
    let whole = frames([stream]);
    let cut = frames(stream.chunks(usize::from(*split) + 1));
    assert_eq!(whole, cut, "the pieces decide what is read");
}

/// What became of each frame, up to the first after which the border is lost.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let (mut input, mut seen) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut batch = Batch::cut(&mut input, LIMIT);
        let mut expected = VecDeque::new();
        loop {
            expected.extend(read_whole(&batch));
            match batch.next_frame() {
                Ok(Some(span)) => {
                    let frame = read(batch.frame(span));
                    let whole = expected.pop_front().unwrap_or_else(|| frame.clone());
                    assert_eq!(whole, frame, "read in one go it is something else");
                    seen.push(frame);
                }
                Ok(None) => break,
                Err(malformed) => {
                    seen.push(malformed.to_string());
                    if malformed.is_out_of_sync() {
                        return seen;
                    }
                }
            }
        }
    }
    seen
}

/// The frames of the publish that comes next, if it is read in one go, in the words of [`read`].
fn read_whole(batch: &Batch) -> Vec<String> {
    let Some(whole) = batch.whole_publish() else {
        return Vec::new();
    };
    let header = ContentHeader {
        class: CLASS_BASIC,
        body_size: whole.body.len() as u64,
        properties: whole.properties,
    };
    let body = Frame {
        kind: FrameType::Body,
        channel: whole.channel,
        payload: whole.body,
    };
    let publish = Ok::<_, Malformed>(format!("{:?}", whole.publish));
    let mut frames = vec![
        format!("{publish:?}"),
        format!("{:?}", Ok::<_, Malformed>(walk(header))),
    ];
    if !whole.body.is_empty() {
        frames.push(read(body));
    }
    frames
}

/// Reads a frame as the connection does.
fn read(frame: Frame<'_>) -> String {
    match frame.kind {
        FrameType::Method => format!("{:?}", method(frame.payload)),
        FrameType::Header => format!("{:?}", ContentHeader::parse(frame.payload).map(walk)),
        FrameType::Body | FrameType::Heartbeat => format!("{frame:?}"),
    }
}

fn method(payload: &[u8]) -> Result<String, Malformed> {
    let (id, arguments) = MethodId::split(payload).ok_or(Malformed::Fields)?;
    if id == MethodId::BASIC_PUBLISH {
        return Publish::parse(arguments).map(|publish| format!("{publish:?}"));
    }
    if let Some(settle) = Settle::parse(id, arguments)? {
        return Ok(format!("{settle:?}"));
    }
    Method::parse(id, payload).map(|method| format!("{method:?}"))
}

/// All properties and headers of a content.
fn walk(header: ContentHeader<'_>) -> String {
    let properties = header.properties.iter().map(|item| format!("{item:?}"));
    format!("{} {:?}", header.body_size, properties.collect::<Vec<_>>())
}
