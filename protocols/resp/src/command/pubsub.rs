//! Publish and subscribe.
//!
//! Exact channels and patterns share one counter and one namespace with the bus; shard channels
//! have their own of both. Confirmations are pushed frames, one per channel: they are the only
//! answer to the command, and they count what the connection has after each step.

use bytes::Bytes;
use routing::Glob;

use super::{Call, write_help};

use crate::error::Error;
use crate::translate::{Receivers, filter};
use crate::wire::request::Request;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `SUBSCRIBE`.
    Channel,
    /// `PSUBSCRIBE`.
    Pattern,
    /// `SSUBSCRIBE`.
    ShardChannel,
}

impl Kind {
    const fn subscribe(self) -> &'static [u8] {
        match self {
            Self::Channel => b"subscribe",
            Self::Pattern => b"psubscribe",
            Self::ShardChannel => b"ssubscribe",
        }
    }

    const fn unsubscribe(self) -> &'static [u8] {
        match self {
            Self::Channel => b"unsubscribe",
            Self::Pattern => b"punsubscribe",
            Self::ShardChannel => b"sunsubscribe",
        }
    }
}

/// RESP: answers at once with the number of receivers; one that matches twice counts twice.
pub(super) fn publish(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let now = call.now;
    let receivers = call
        .session
        .bus()?
        .publish(now, &request.bytes(1), request.bytes(2))?;
    write_receivers(call, receivers)
}

pub(super) fn spublish(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let now = call.now;
    let bus = call.session.bus()?;
    let receivers = bus.publish_to_shard(now, request.bytes(1), request.bytes(2))?;
    write_receivers(call, receivers)
}

fn write_receivers(call: &mut Call<'_>, receivers: Receivers) -> Result<(), Error> {
    super::lists::promise(call, receivers.lsn);
    call.reply
        .integer(i64::try_from(receivers.count).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn subscribe(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    add(call, request, Kind::Channel)
}

pub(super) fn psubscribe(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    add(call, request, Kind::Pattern)
}

pub(super) fn ssubscribe(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    add(call, request, Kind::ShardChannel)
}

/// One channel that is not allowed refuses the whole command, before anything has happened.
fn add(call: &mut Call<'_>, request: &Request, kind: Kind) -> Result<(), Error> {
    let bus = call.session.bus()?;
    if !(1..request.len()).all(|index| bus.may_subscribe(kind, &request.bytes(index))) {
        return Err(Error::ChannelDenied);
    }
    let max = call.server.settings.subscriptions_max;
    if call.session.subscriptions.total() + request.len() - 1 > max {
        return Err(Error::Limit {
            what: "subscriptions",
            max,
        });
    }
    if call.session.subscriptions.total() == 0 && kind != Kind::ShardChannel {
        call.session
            .become_subscriber(call.now, &call.server.settings)?;
    }
    let mut new = Vec::new();
    for name in request.args_from(1) {
        let name = Bytes::copy_from_slice(name);
        if call.session.subscriptions.insert(kind, name.clone()) {
            new.push(filter(kind, &name));
        }
        write_confirmation(call, kind, kind.subscribe(), Some(&name));
    }
    if !new.is_empty() {
        let lsn = call.session.subscribe(&new)?;
        super::lists::promise(call, lsn);
    }
    Ok(())
}

pub(super) fn unsubscribe(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    remove(call, request, Kind::Channel)
}

pub(super) fn punsubscribe(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    remove(call, request, Kind::Pattern)
}

pub(super) fn sunsubscribe(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    remove(call, request, Kind::ShardChannel)
}

/// RESP: without arguments all of the kind, or one confirmation of nothing. What was not
/// subscribed to is confirmed all the same.
fn remove(call: &mut Call<'_>, request: &Request, kind: Kind) -> Result<(), Error> {
    let names: Vec<Bytes> = if request.len() > 1 {
        (1..request.len())
            .map(|index| request.bytes(index))
            .collect()
    } else {
        call.session.subscriptions.names(kind)
    };
    if names.is_empty() {
        write_confirmation(call, kind, kind.unsubscribe(), None);
    }
    let mut ended = Vec::new();
    for name in &names {
        if call.session.subscriptions.remove(kind, name) {
            ended.push(filter(kind, name));
        }
        write_confirmation(call, kind, kind.unsubscribe(), Some(name));
    }
    if !ended.is_empty() {
        call.session.unsubscribe(&ended)?;
    }
    Ok(())
}

fn write_confirmation(call: &mut Call<'_>, kind: Kind, word: &[u8], name: Option<&[u8]>) {
    let count = call.session.subscriptions.counter(kind);
    call.reply.push(3);
    call.reply.bulk(word);
    match name {
        Some(name) => call.reply.bulk(name),
        None => call.reply.null(),
    }
    call.reply.count(count);
}

/// RESP: `PUBSUB CHANNELS [pattern]`: those with an exact subscriber.
pub(super) fn channels(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let glob = optional_pattern(request)?;
    let channels = call.session.bus()?.channels(Kind::Channel, glob.as_ref());
    write_names(call, &channels);
    Ok(())
}

pub(super) fn shardchannels(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let glob = optional_pattern(request)?;
    let channels = call
        .session
        .bus()?
        .channels(Kind::ShardChannel, glob.as_ref());
    write_names(call, &channels);
    Ok(())
}

fn optional_pattern(request: &Request) -> Result<Option<Glob>, Error> {
    if request.len() > 3 {
        return Err(Error::quoting(
            "unknown subcommand or wrong number of arguments for '",
            request.arg(1).unwrap_or_default(),
            "'. Try PUBSUB HELP.",
        ));
    }
    Ok(request.arg(2).map(|_| Glob::new(request.bytes(2))))
}

fn write_names(call: &mut Call<'_>, names: &[Bytes]) {
    call.reply.array(names.len());
    names.iter().for_each(|name| call.reply.bulk(name));
}

/// RESP: a flat array in both versions.
pub(super) fn numsub(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    write_counts(call, request, Kind::Channel)
}

pub(super) fn shardnumsub(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    write_counts(call, request, Kind::ShardChannel)
}

fn write_counts(call: &mut Call<'_>, request: &Request, kind: Kind) -> Result<(), Error> {
    call.reply.array((request.len() - 2) * 2);
    for index in 2..request.len() {
        let channel = request.bytes(index);
        let subscribers = call.session.bus()?.subscriber_count(kind, &channel);
        call.reply.bulk(&channel);
        call.reply.count(subscribers);
    }
    Ok(())
}

/// RESP: how many different patterns there are, whoever has them.
pub(super) fn numpat(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let patterns = call.session.bus()?.pattern_count();
    call.reply.count(patterns);
    Ok(())
}

pub(super) fn help(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    write_help(&mut call.reply, "PUBSUB", HELP);
    Ok(())
}

const HELP: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
];
