//! Methods a server sends.

use super::*;
use crate::wire::method_id::MethodId;

fn bytes(reply: Reply<'_>) -> Vec<u8> {
    let mut out = OutBuf::default();
    put_reply(&mut out, ChannelId(1), reply);
    out.to_vec()
}

/// A method frame on channel 1.
fn frame(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    [&[1, 0, 1], &len.to_be_bytes()[..], payload, &[0xCE]].concat()
}

fn check(cases: &[(Reply<'_>, &[u8])]) {
    for (reply, payload) in cases {
        assert_eq!(bytes(*reply), frame(payload), "{reply:?}");
    }
}

#[test]
fn basic_and_access_replies_have_their_exact_bytes() {
    check(&[
        (Reply::AccessRequestOk, b"\0\x1e\0\x0b\0\x01"),
        (
            Reply::Basic(BasicReply::Cancel { consumer_tag: "t" }),
            b"\0\x3c\0\x1e\x01t\x01",
        ),
        (
            Reply::Basic(BasicReply::CancelOk { consumer_tag: "t" }),
            b"\0\x3c\0\x1f\x01t",
        ),
        (
            Reply::Basic(BasicReply::ConsumeOk { consumer_tag: "t" }),
            b"\0\x3c\0\x15\x01t",
        ),
        (Reply::Basic(BasicReply::GetEmpty), b"\0\x3c\0\x48\0"),
        (Reply::Basic(BasicReply::QosOk), b"\0\x3c\0\x0b"),
        (Reply::Basic(BasicReply::RecoverOk), b"\0\x3c\0\x6f"),
    ]);
}

#[test]
fn channel_and_connection_replies_have_their_exact_bytes() {
    let reason = CloseReason {
        code: 404,
        text: "NOT_FOUND".into(),
        method: MethodId::QUEUE_DECLARE,
    };
    let tune = Tune {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat_secs: 60,
    };
    check(&[
        (
            Reply::Channel(ChannelReply::Close(&reason)),
            b"\0\x14\0\x28\x01\x94\x09NOT_FOUND\0\x32\0\x0a",
        ),
        (Reply::Channel(ChannelReply::CloseOk), b"\0\x14\0\x29"),
        (
            Reply::Channel(ChannelReply::FlowOk { active: true }),
            b"\0\x14\0\x15\x01",
        ),
        (
            Reply::Channel(ChannelReply::OpenOk),
            b"\0\x14\0\x0b\0\0\0\0",
        ),
        (
            Reply::Connection(ConnectionReply::Blocked {
                reason: "low on disk",
            }),
            b"\0\x0a\0\x3c\x0blow on disk",
        ),
        (
            Reply::Connection(ConnectionReply::Close(&reason)),
            b"\0\x0a\0\x32\x01\x94\x09NOT_FOUND\0\x32\0\x0a",
        ),
        (Reply::Connection(ConnectionReply::CloseOk), b"\0\x0a\0\x33"),
        (
            Reply::Connection(ConnectionReply::OpenOk),
            b"\0\x0a\0\x29\0",
        ),
        (
            Reply::Connection(ConnectionReply::Secure { challenge: b"c" }),
            b"\0\x0a\0\x14\0\0\0\x01c",
        ),
        (
            Reply::Connection(ConnectionReply::Tune(tune)),
            b"\0\x0a\0\x1e\x07\xff\0\x02\0\0\0\x3c",
        ),
        (
            Reply::Connection(ConnectionReply::Unblocked),
            b"\0\x0a\0\x3d",
        ),
        (
            Reply::Connection(ConnectionReply::UpdateSecretOk),
            b"\0\x0a\0\x47",
        ),
    ]);
}

#[test]
fn the_other_replies_have_their_exact_bytes() {
    check(&[
        (Reply::ConfirmSelectOk, b"\0\x55\0\x0b"),
        (Reply::Exchange(ExchangeReply::BindOk), b"\0\x28\0\x1f"),
        (Reply::Exchange(ExchangeReply::DeclareOk), b"\0\x28\0\x0b"),
        (Reply::Exchange(ExchangeReply::DeleteOk), b"\0\x28\0\x15"),
        (Reply::Exchange(ExchangeReply::UnbindOk), b"\0\x28\0\x33"),
        (Reply::Queue(QueueReply::BindOk), b"\0\x32\0\x15"),
        (
            Reply::Queue(QueueReply::DeclareOk {
                queue: "q",
                message_count: 2,
                consumer_count: 3,
            }),
            b"\0\x32\0\x0b\x01q\0\0\0\x02\0\0\0\x03",
        ),
        (
            Reply::Queue(QueueReply::DeleteOk { message_count: 4 }),
            b"\0\x32\0\x29\0\0\0\x04",
        ),
        (
            Reply::Queue(QueueReply::PurgeOk { message_count: 5 }),
            b"\0\x32\0\x1f\0\0\0\x05",
        ),
        (Reply::Queue(QueueReply::UnbindOk), b"\0\x32\0\x33"),
        (Reply::Tx(TxReply::SelectOk), b"\0\x5a\0\x0b"),
        (Reply::Tx(TxReply::CommitOk), b"\0\x5a\0\x15"),
        (Reply::Tx(TxReply::RollbackOk), b"\0\x5a\0\x1f"),
    ]);
}

#[test]
fn start_lists_its_properties_by_name_with_capabilities_first() {
    let greeting = ServerGreeting {
        properties: &[("version", "1"), ("product", "P")],
        capabilities: &["basic.nack"],
        mechanisms: "PLAIN",
    };
    let payload = b"\0\x0a\0\x0a\0\x09\0\0\0\x3b\
        \x0ccapabilitiesF\0\0\0\x0d\x0abasic.nackt\x01\
        \x07productS\0\0\0\x01P\x07versionS\0\0\0\x011\
        \0\0\0\x05PLAIN\0\0\0\x05en_US";
    let written = bytes(Reply::Connection(ConnectionReply::Start(greeting)));
    assert_eq!(written, frame(payload));
}

#[test]
fn a_long_reply_text_is_cut_between_characters() {
    let text = format!("{}é", "x".repeat(254));
    let reason = CloseReason {
        code: 406,
        text,
        method: MethodId::NONE,
    };
    let written = bytes(Reply::Channel(ChannelReply::Close(&reason)));
    let expected = [&b"\0\x14\0\x28\x01\x96\xfe"[..], &[b'x'; 254], &[0; 4]].concat();
    assert_eq!(written, frame(&expected));
}
