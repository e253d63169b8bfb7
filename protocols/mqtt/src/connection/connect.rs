//! CONNECT: who the client is, which virtual host and session it gets, and the CONNACK that says
//! so.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use routing::session::EXPIRY_NEVER_S;
use routing::table::BUS;
use routing::vhost::OpenSession;
use routing::{
    Address, AuthError, Credentials, Identity, MessageBuilder, Name, OutBuf, Publisher, Request,
    Timestamp, VHost, Will,
};

use super::authenticate;
use super::open::{Client, Open};
use super::rights::Rights;
use super::{Connection, State};
use crate::counters::Count;
use crate::error::PeerMisbehaved;
use crate::settings::Settings;
use crate::translate;
use crate::wire::property::{Place, Properties, Property, id};
use crate::wire::{self, Connack, Connect, ReasonCode, Utf8String, Version};

/// What CONNECT and the settings make of this connection.
#[derive(Clone, Copy, Debug)]
struct Terms {
    keep_alive_secs: u16,
    session_expiry_secs: u32,
    /// Messages that the client takes unacknowledged.
    receive_max: u16,
    topic_alias_max: u16,
    packet_size_max: u32,
    wants_response_information: bool,
    /// Whether reasons may be given in words elsewhere than in CONNACK and DISCONNECT.
    /// \[MQTT-3.1.2-29\]
    wants_reasons: bool,
}

impl Connection {
    /// Takes the CONNECT off `input`; false in any case, because an answer is awaited next.
    pub(super) fn handle_first_packet(&mut self, input: &mut BytesMut, out: &mut OutBuf) -> bool {
        let State::AwaitConnect(until) = self.state else {
            return false;
        };
        match wire::decode_connect(input, &self.settings.sizes) {
            Ok(None) => {}
            Ok(Some(connect)) => {
                self.tally.count(Count::PacketsIn, 1);
                match check(&connect, &self.settings) {
                    Ok(request) => {
                        self.request = Some(request);
                        self.state = State::AwaitIdentity(Box::new(connect), until);
                    }
                    Err(reason) => self.refuse_connect(&connect, reason, out),
                }
            }
            Err(refusal) => match refusal.version.zip(refusal.answer()) {
                Some((version, reason)) => self.refuse(version, reason, out),
                None => self.close(None, out),
            },
        }
        false
    }

    /// The gateway has decided who this is; the bytes are its last word in an exchange of AUTH.
    pub(super) fn handle_identity(
        &mut self,
        now: Timestamp,
        answer: Result<(Arc<Identity>, Option<Bytes>), AuthError>,
        out: &mut OutBuf,
    ) {
        let state = std::mem::replace(&mut self.state, State::Closing(None));
        match state {
            State::AwaitIdentity(connect, _) => {
                let admitted =
                    answer
                        .map_err(translate::connect_reason)
                        .and_then(|(identity, data)| {
                            self.admit(now, &connect, identity, data.as_deref())
                        });
                match admitted {
                    Ok(admitted) => self.greet(now, connect.version, admitted, out),
                    Err(reason) => self.refuse_connect(&connect, reason, out),
                }
            }
            State::Open(mut open) => {
                let failed = PeerMisbehaved::AuthFailed.into();
                let outcome = answer.map_err(|_| failed).and_then(|(identity, data)| {
                    open.reauthenticate(identity, &data.unwrap_or_default(), out)
                });
                self.state = State::Open(open);
                if let Err(error) = outcome {
                    self.close(Some(error), out);
                }
            }
            other => self.state = other,
        }
    }

    /// Turns away a client whose CONNECT was understood.
    fn refuse_connect(&mut self, connect: &Connect, reason: ReasonCode, out: &mut OutBuf) {
        let mut connack = Connack::refusal(reason);
        if self.settings.reason_strings && connect.version == Version::V5 {
            let phrase = Property::ReasonString(reason.phrase());
            connack.properties = Properties::of(phrase, Place::Connack);
        }
        let packet_size_max = Terms::of(connect, &self.settings).packet_size_max;
        let mut packet = Vec::new();
        connack.encode(connect.version, &mut packet);
        if packet.len() > usize::try_from(packet_size_max).unwrap_or(usize::MAX) {
            return self.refuse(connect.version, reason, out);
        }
        out.put_slice(&packet);
        self.tally.count(Count::PacketsOut, 1);
        self.state = State::Closing(None);
    }

    pub(super) fn refuse(&mut self, version: Version, reason: ReasonCode, out: &mut OutBuf) {
        let mut packet = Vec::new();
        Connack::refusal(reason).encode(version, &mut packet);
        out.put_slice(&packet);
        self.tally.count(Count::PacketsOut, 1);
        self.state = State::Closing(None);
    }

    /// Enters the virtual host and opens the session.
    fn admit(
        &mut self,
        now: Timestamp,
        connect: &Connect,
        identity: Arc<Identity>,
        proof: Option<&[u8]>,
    ) -> Result<Admitted, ReasonCode> {
        let vhost = self
            .vhost(connect, &identity)
            .ok_or(ReasonCode::NOT_AUTHORIZED)?;
        let terms = Terms::of(connect, &self.settings);
        let assigned = connect.client_id.is_empty();
        let client_id = if assigned {
            vhost.unique_name(&self.settings.client_id_prefix)
        } else {
            connect.client_id.as_str().into()
        };
        let rights = Rights::of(&identity, &vhost, &client_id);
        if let Some(will) = &connect.will
            && !self.settings.topics.allow(will.topic.as_bytes())
        {
            return Err(ReasonCode::TOPIC_NAME_INVALID);
        }
        let will = will(now, connect, &rights, &identity.user)?;
        let mut publisher = Publisher::new(Arc::clone(&vhost));
        let open = OpenSession {
            client_id: client_id.clone(),
            connection: self.id,
            clean_start: connect.clean_start,
            expiry_s: terms.session_expiry_secs,
            will,
            outbox_limits: self.settings.outbox,
            queue_limits: None,
            receive_max: terms.receive_max,
        };
        let opened = vhost
            .open_session(now, &open, &mut publisher.wakes)
            .map_err(|error| translate::reason_code(&error))?;
        let client = Client {
            id: self.id,
            version: connect.version,
            is_bridge: connect.is_bridge,
            method: authenticate::method(&connect.properties).map(Name::from),
            wants_reasons: terms.wants_reasons,
            identity,
            receive_max: terms.receive_max,
            packet_size_max: terms.packet_size_max,
            topic_alias_max: terms.topic_alias_max,
            keep_alive_secs: terms.keep_alive_secs,
            had_session_expiry: terms.session_expiry_secs != 0,
        };
        let connack = Connack {
            // 3.1 has no such flag: its byte is reserved.
            session_present: opened.is_present && connect.version != Version::V31,
            reason: ReasonCode::SUCCESS,
            properties: self.connack_properties(
                connect,
                &terms,
                assigned.then_some(&client_id),
                proof,
            ),
        };
        let settings = Arc::clone(&self.settings);
        Ok(Admitted {
            connack,
            packet_size_max: terms.packet_size_max,
            open: Box::new(Open::new(now, settings, client, opened, publisher)),
        })
    }

    /// Sends the CONNACK, then what the session still has under way.
    fn greet(&mut self, now: Timestamp, version: Version, admitted: Admitted, out: &mut OutBuf) {
        let Admitted {
            connack,
            packet_size_max,
            mut open,
        } = admitted;
        let mut packet = Vec::new();
        connack.encode(version, &mut packet);
        if u32::try_from(packet.len()).map_or(true, |length| length > packet_size_max) {
            // A client that cannot be told that it is connected is not. [MQTT-3.1.2-24]
            self.state = State::Closing(Some(open));
            return;
        }
        out.put_slice(&packet);
        self.tally.count(Count::PacketsOut, 1);
        open.resend(now, out);
        self.state = State::Open(open);
    }

    /// The virtual host of the user name, of the listener, or of the user, if the user may enter
    /// it.
    fn vhost(&self, connect: &Connect, identity: &Identity) -> Option<Arc<VHost>> {
        let named = connect
            .user_name
            .as_ref()
            .and_then(|name| split_user_name(name.as_str()).0);
        let fixed = self.settings.vhost.as_deref();
        let is_elsewhere = matches!((named, fixed), (Some(named), Some(fixed)) if named != fixed);
        if is_elsewhere {
            return None;
        }
        let name = named.or(fixed).unwrap_or(&identity.default_vhost);
        self.broker
            .vhost(name)
            .filter(|_| identity.may_enter(name))
            .cloned()
    }

    /// MQTT 5 §3.2.2.3, in Mosquitto's order.
    fn connack_properties(
        &self,
        connect: &Connect,
        terms: &Terms,
        assigned: Option<&Name>,
        proof: Option<&[u8]>,
    ) -> Properties {
        if connect.version != Version::V5 {
            return Properties::default();
        }
        let settings = &self.settings;
        let mut block = Vec::new();
        let mut put = |property: Property<'_>| property.write(&mut block);
        if settings.topic_alias_max > 0 {
            put(Property::TopicAliasMaximum(settings.topic_alias_max));
        }
        if let Some(client_id) = assigned {
            put(Property::AssignedClientIdentifier(client_id));
        }
        if terms.keep_alive_secs != connect.keep_alive_secs {
            put(Property::ServerKeepAlive(terms.keep_alive_secs));
        }
        if terms.session_expiry_secs != session_expiry_wanted(connect) {
            put(Property::SessionExpiryInterval(terms.session_expiry_secs));
        }
        if let Some(prefix) = &settings.response_prefix
            && terms.wants_response_information
        {
            let client_id = assigned.map_or(connect.client_id.as_str(), Name::as_str);
            put(Property::ResponseInformation(&format!(
                "{prefix}{client_id}"
            )));
        }
        put(Property::MaximumPacketSize(settings.sizes.packet));
        put(Property::ReceiveMaximum(settings.receive_max));
        if let Some(method) = authenticate::method(&connect.properties) {
            authenticate::put_properties(method, proof.unwrap_or_default(), &mut block);
        }
        Properties::from_block(block.into(), Place::Connack).unwrap_or_default()
    }
}

/// A client that is let in.
struct Admitted {
    connack: Connack,
    packet_size_max: u32,
    open: Box<Open>,
}

impl Terms {
    fn of(connect: &Connect, settings: &Settings) -> Self {
        let mut terms = Self {
            keep_alive_secs: keep_alive(connect, settings),
            session_expiry_secs: session_expiry_wanted(connect)
                .min(settings.session_expiry_max_secs),
            receive_max: settings.inflight_max,
            topic_alias_max: 0,
            packet_size_max: u32::MAX,
            wants_response_information: false,
            wants_reasons: settings.reason_strings && connect.version == Version::V5,
        };
        for property in &connect.properties {
            match property {
                Property::ReceiveMaximum(max) => terms.receive_max = max.min(settings.inflight_max),
                Property::TopicAliasMaximum(max) => {
                    terms.topic_alias_max = max.min(settings.topic_alias_out_max);
                }
                Property::MaximumPacketSize(max) => terms.packet_size_max = max,
                Property::RequestResponseInformation(wanted) => {
                    terms.wants_response_information = wanted == 1;
                }
                Property::RequestProblemInformation(wanted) => terms.wants_reasons &= wanted == 1,
                _ => {}
            }
        }
        terms
    }
}

/// What can be refused before it is known who asks; else what to ask for to know it.
fn check(connect: &Connect, settings: &Settings) -> Result<Request, ReasonCode> {
    let step = authenticate::first_step(connect)?;
    // 3.x cannot be given another keep alive than it asked for, so it is turned away as by
    // Mosquitto.
    let is_overruled = keep_alive(connect, settings) != connect.keep_alive_secs;
    if is_overruled && connect.version != Version::V5 {
        return Err(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
    }
    Ok(step.map_or_else(
        || Request::Authenticate(credentials(connect)),
        Request::Sasl,
    ))
}

/// \[MQTT-3.2.2-21\]
fn keep_alive(connect: &Connect, settings: &Settings) -> u16 {
    match (connect.keep_alive_secs, settings.keep_alive_max_secs) {
        (wanted, 0) => wanted,
        (0, max) => max,
        (wanted, max) => wanted.min(max),
    }
}

/// Seconds that the client wants its session to outlive the connection. In 3.x a session that is
/// not clean is for ever.
fn session_expiry_wanted(connect: &Connect) -> u32 {
    match connect.properties.find(id::SESSION_EXPIRY_INTERVAL) {
        Some(Property::SessionExpiryInterval(secs)) => secs,
        _ if connect.version != Version::V5 && !connect.clean_start => EXPIRY_NEVER_S,
        _ => 0,
    }
}

/// `vhost:user`, split at the last colon as RabbitMQ does.
fn split_user_name(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once(':') {
        Some((vhost, user)) => (Some(vhost), user),
        None => (None, name),
    }
}

fn credentials(connect: &Connect) -> Credentials {
    let name = connect
        .user_name
        .as_ref()
        .map(Utf8String::as_str)
        .unwrap_or_default();
    let (_, user) = split_user_name(name);
    // A user name that is there and empty, without a password or with an empty one, names nobody.
    if user.is_empty() && connect.password.as_deref().is_none_or(<[u8]>::is_empty) {
        return Credentials::Anonymous;
    }
    // A copy: a slice would pin the packet for as long as the check takes.
    let password = connect
        .password
        .as_deref()
        .map(Bytes::copy_from_slice)
        .unwrap_or_default();
    Credentials::Password {
        user: user.into(),
        password,
    }
}

/// The will as the core's message. A client that may not publish is told so at once, rather than
/// when it can no longer be told.
fn will(
    now: Timestamp,
    connect: &Connect,
    rights: &Rights,
    user: &Name,
) -> Result<Option<Will>, ReasonCode> {
    let Some(will) = &connect.will else {
        return Ok(None);
    };
    if !rights.may_publish(will.topic.as_bytes()) {
        return Err(ReasonCode::NOT_AUTHORIZED);
    }
    let topic = Bytes::copy_from_slice(will.topic.as_bytes());
    let payload = will.payload.clone();
    let mut builder =
        MessageBuilder::new(Address::new(topic), BUS.into(), payload, &translate::ORIGIN);
    builder.qos = translate::qos_in(will.qos);
    builder.retain = will.retain;
    translate::put_properties(now, &will.properties, Some(user), &mut builder);
    let delay_s = match will.properties.find(id::WILL_DELAY_INTERVAL) {
        Some(Property::WillDelayInterval(secs)) => secs,
        _ => 0,
    };
    // The time that is left counts from the moment the will is published.
    builder.expires_at = None;
    let expiry_s = match will.properties.find(id::MESSAGE_EXPIRY_INTERVAL) {
        Some(Property::MessageExpiryInterval(secs)) => Some(secs),
        _ => None,
    };
    // A will may wait for long: it must not pin the packet it came in.
    Ok(Some(Will {
        message: builder.build().compact(),
        delay_s,
        expiry_s,
    }))
}
