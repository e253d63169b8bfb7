//! Enhanced authentication (MQTT 5 §4.12): AUTH packets to and fro, before the CONNACK and again
//! whenever the client wishes. The mechanism itself is the gateway's; here is who may say what
//! when.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use routing::{Identity, OutBuf, Request, SaslStep};

use super::open::{Next, Open};
use super::rights::Rights;
use super::{Connection, State};
use crate::counters::Count;
use crate::error::{Error, PeerMisbehaved};
use crate::wire::property::{Place, Properties, Property, id};
use crate::wire::{self, Auth, Connect, Packet, ReasonCode, Sender};

/// The mechanisms that a client may name.
const METHODS: [&str; 1] = ["SCRAM-SHA-256"];

/// The method that a CONNECT or AUTH names.
pub(super) fn method(properties: &Properties) -> Option<&str> {
    match properties.find(id::AUTHENTICATION_METHOD) {
        Some(Property::AuthenticationMethod(method)) => Some(method),
        _ => None,
    }
}

/// The first step that a CONNECT asks for; none if it is content with user name and password.
pub(super) fn first_step(connect: &Connect) -> Result<Option<SaslStep>, ReasonCode> {
    match method(&connect.properties) {
        None => Ok(None),
        Some(method) if METHODS.contains(&method) => {
            Ok(Some(step(method, &connect.properties, true)))
        }
        // [MQTT-4.12.0-1]
        Some(_) => Err(ReasonCode::BAD_AUTHENTICATION_METHOD),
    }
}

fn step(method: &str, properties: &Properties, is_first: bool) -> SaslStep {
    let data = match properties.find(id::AUTHENTICATION_DATA) {
        // A copy: a slice would pin the packet.
        Some(Property::AuthenticationData(data)) => Bytes::copy_from_slice(data),
        _ => Bytes::new(),
    };
    SaslStep {
        mechanism: method.into(),
        is_first,
        data,
    }
}

/// An AUTH of ours.
fn auth(reason: ReasonCode, method: &str, data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let properties = properties(method, data, Place::Auth);
    Auth { reason, properties }.encode(&mut packet);
    packet
}

fn properties(method: &str, data: &[u8], place: Place) -> Properties {
    let mut block = Vec::new();
    put_properties(method, data, &mut block);
    Properties::from_block(block.into(), place).unwrap_or_default()
}

/// What AUTH and a CONNACK after AUTH carry. \[MQTT-4.12.0-5\]
pub(super) fn put_properties(method: &str, data: &[u8], block: &mut Vec<u8>) {
    Property::AuthenticationMethod(method).write(block);
    if !data.is_empty() {
        Property::AuthenticationData(data).write(block);
    }
}

impl Connection {
    /// A packet between CONNECT and CONNACK: AUTH, or DISCONNECT from a client that gives up.
    /// \[MQTT-3.1.2-30\]
    pub(super) fn handle_auth_packet(&mut self, input: &mut BytesMut, out: &mut OutBuf) -> bool {
        let State::AwaitAuth(connect, until) = &self.state else {
            return false;
        };
        let (version, sizes) = (connect.version, &self.settings.sizes);
        match wire::decode(input, version, Sender::Client, sizes) {
            Ok(None) => {}
            Ok(Some(Packet::Auth(auth))) => {
                self.tally.count(Count::PacketsIn, 1);
                let method = method(&connect.properties).unwrap_or_default();
                let is_next = auth.reason == ReasonCode::CONTINUE_AUTHENTICATION;
                if is_next && self::method(&auth.properties) == Some(method) {
                    self.request = Some(Request::Sasl(step(method, &auth.properties, false)));
                    self.state = State::AwaitIdentity(connect.clone(), *until);
                } else {
                    self.refuse(version, ReasonCode::PROTOCOL_ERROR, out);
                }
            }
            Ok(Some(Packet::Disconnect(_))) => self.close(None, out),
            Ok(Some(_)) => self.refuse(version, ReasonCode::PROTOCOL_ERROR, out),
            Err(fault) => match fault.answer() {
                Some(reason) => self.refuse(version, reason, out),
                None => self.close(None, out),
            },
        }
        false
    }

    /// Passes the gateway's challenge on.
    pub(super) fn challenge(&mut self, data: &[u8], out: &mut OutBuf) {
        self.tally.count(Count::PacketsOut, 1);
        match &mut self.state {
            State::AwaitIdentity(connect, until) => {
                let method = method(&connect.properties).unwrap_or_default();
                out.put_slice(&auth(ReasonCode::CONTINUE_AUTHENTICATION, method, data));
                self.state = State::AwaitAuth(connect.clone(), *until);
            }
            State::Open(open) => open.challenge(data, out),
            State::AwaitConnect(_) | State::AwaitAuth(..) | State::Closing(_) => {}
        }
    }
}

impl Open {
    /// AUTH of a client that is connected: it proves anew who it is. What it does meanwhile is
    /// done as who it was. MQTT 5 §4.12.1
    pub(super) fn handle_auth(&mut self, auth: &Auth) -> Result<Next, Error> {
        let Some(method) = &self.client.method else {
            return Err(PeerMisbehaved::AuthUnexpected.into());
        };
        let is_first = auth.reason == ReasonCode::REAUTHENTICATE;
        let is_next = auth.reason == ReasonCode::CONTINUE_AUTHENTICATION && self.is_challenged;
        if !(is_first || is_next) || self::method(&auth.properties) != Some(method) {
            return Err(PeerMisbehaved::AuthOutOfTurn.into());
        }
        self.is_challenged = false;
        self.is_authenticating = true;
        Ok(Next::Ask(step(method, &auth.properties, is_first)))
    }

    fn challenge(&mut self, data: &[u8], out: &mut OutBuf) {
        let method = self.client.method.as_deref().unwrap_or_default();
        out.put_slice(&auth(ReasonCode::CONTINUE_AUTHENTICATION, method, data));
        self.is_authenticating = false;
        self.is_challenged = true;
    }

    /// The client has proved anew who it is, and must be who it was; its rights are those of now.
    pub(super) fn reauthenticate(
        &mut self,
        identity: Arc<Identity>,
        data: &[u8],
        out: &mut OutBuf,
    ) -> Result<(), Error> {
        self.is_authenticating = false;
        let is_same = identity.user == self.client.identity.user;
        if !is_same || !identity.may_enter(&self.vhost.name) {
            return Err(PeerMisbehaved::AuthFailed.into());
        }
        self.rights = Rights::of(&identity, &self.vhost, &self.session.client_id);
        self.client.identity = identity;
        let method = self.client.method.as_deref().unwrap_or_default();
        out.put_slice(&auth(ReasonCode::SUCCESS, method, data));
        self.tally.count(Count::PacketsOut, 1);
        Ok(())
    }
}
