//! From the first octets to `connection.open-ok`, and what channel 0 says later.
//!
//! ```text
//! AwaitHeader ─► AwaitStartOk ─► AwaitIdentity ─► AwaitTuneOk ─► AwaitOpen ─► Open
//!      │ other protocol │ unknown mechanism │ refused   │ limits      │ vhost
//!      └────────────────┴────────► Closed ◄─┴───────────┴► AwaitCloseOk ◄──┘
//! ```
//!
//! Until the client has shown who it is, mistakes close the socket without a word, as RabbitMQ
//! does; a client that announces `authentication_failure_close` is told that its login failed.

use std::sync::Arc;

use routing::{Identity, OutBuf, Request, Response, Timestamp};

use super::{Client, Connection, State, sasl, shared::Shared};
use crate::{
    error::{Refused, ReplyCode},
    wire::{
        frame::{ChannelId, FRAME_MAX_LOWEST},
        method_id::MethodId,
        methods::{ConnectionMethod, Tune},
        replies::{ConnectionReply, Reply, ServerGreeting, put_reply},
        table::{FieldTable, Value},
    },
};

/// What RabbitMQ offers, in the order of its table.
const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

impl Connection {
    pub(super) fn put_start(&self, out: &mut OutBuf) {
        let settings = &self.settings;
        let greeting = ServerGreeting {
            properties: &[
                ("product", &settings.product),
                ("version", &settings.version),
                ("cluster_name", &settings.cluster_name),
                ("platform", "Busbar"),
            ],
            capabilities: &CAPABILITIES,
            mechanisms: sasl::MECHANISMS,
        };
        self.put(out, ConnectionReply::Start(greeting));
    }

    pub(super) fn put(&self, out: &mut OutBuf, reply: ConnectionReply<'_>) {
        put_reply(out, ChannelId::CONNECTION, Reply::Connection(reply));
    }

    /// Handles a method of channel 0.
    pub(super) fn handle_connection_method(
        &mut self,
        now: Timestamp,
        (id, method): (MethodId, ConnectionMethod),
        out: &mut OutBuf,
    ) {
        match (&self.state, method) {
            (State::AwaitCloseOk { .. }, ConnectionMethod::CloseOk) => self.state = State::Closed,
            (_, ConnectionMethod::Close(_)) => {
                self.release(now);
                self.put(out, ConnectionReply::CloseOk);
                self.state = State::Closed;
            }
            (State::AwaitCloseOk { .. } | State::Closed, _) => {}
            (
                State::AwaitStartOk,
                ConnectionMethod::StartOk {
                    client_properties,
                    mechanism,
                    response,
                },
            ) => {
                self.client = Client::of(client_properties.table());
                self.authenticate(&mechanism, &response);
            }
            (State::AwaitTuneOk(identity), ConnectionMethod::TuneOk(tune)) => {
                let identity = Arc::clone(identity);
                self.tune(now, tune, identity, out);
            }
            (State::AwaitOpen(identity), ConnectionMethod::Open { vhost }) => {
                let identity = Arc::clone(identity);
                self.open(now, &vhost, identity, out);
            }
            (State::Open(_), ConnectionMethod::UpdateSecret { .. }) => {
                // Who it is was settled at login; the new secret belongs to a login to come.
                self.put(out, ConnectionReply::UpdateSecretOk);
            }
            (state, _) => {
                let text = format!("unexpected method in connection state {}", state.name());
                self.fail(now, &Refused::new(ReplyCode::ChannelError, text), id, out);
            }
        }
    }

    fn authenticate(&mut self, mechanism: &str, response: &[u8]) {
        match sasl::credentials(mechanism, response) {
            Ok(credentials) => {
                self.request = Some(Request::Authenticate(credentials));
                self.state = State::AwaitIdentity {
                    mechanism: mechanism.into(),
                };
            }
            Err(_) => self.state = State::Closed,
        }
    }

    pub(super) fn handle_identity(&mut self, now: Timestamp, response: Response, out: &mut OutBuf) {
        let State::AwaitIdentity { mechanism } = &self.state else {
            return;
        };
        let Response::Authenticated(answer) = response else {
            return;
        };
        match answer {
            Ok(identity) => {
                self.put(out, ConnectionReply::Tune(self.offer()));
                self.state = State::AwaitTuneOk(identity);
            }
            Err(_) if self.client.authentication_failure_close => {
                let text = format!(
                    "Login was refused using authentication mechanism {mechanism}. For details \
                     see the broker logfile."
                );
                let refused = Refused::new(ReplyCode::AccessRefused, text);
                self.close(now, &refused, MethodId::NONE, out);
            }
            Err(_) => self.state = State::Closed,
        }
    }

    /// The limits of this server.
    fn offer(&self) -> Tune {
        Tune {
            channel_max: self.settings.channels_max,
            frame_max: self.settings.frame_bytes_max,
            heartbeat_secs: self.settings.heartbeat_secs,
        }
    }

    fn tune(&mut self, now: Timestamp, tune: Tune, identity: Arc<Identity>, out: &mut OutBuf) {
        let offer = self.offer();
        let limits = [
            (
                "frame_max",
                tune.frame_max,
                FRAME_MAX_LOWEST,
                offer.frame_max,
            ),
            (
                "channel_max",
                u32::from(tune.channel_max),
                1,
                u32::from(offer.channel_max),
            ),
        ];
        for (name, wanted, min, max) in limits {
            if let Err(refused) = check_limit(name, wanted, min, max) {
                return self.close(now, &refused, MethodId::CONNECTION_TUNE, out);
            }
        }
        self.limits = tune;
        self.state = State::AwaitOpen(identity);
    }

    fn open(&mut self, now: Timestamp, wanted: &str, identity: Arc<Identity>, out: &mut OutBuf) {
        let wanted = self.settings.vhost.as_deref().unwrap_or(wanted);
        let name = if wanted.is_empty() {
            identity.default_vhost.as_str()
        } else {
            wanted
        };
        let Some(vhost) = self.broker.vhost(name) else {
            let refused = Refused::new(ReplyCode::NotAllowed, format!("vhost {name} not found"));
            return self.close(now, &refused, MethodId::CONNECTION_OPEN, out);
        };
        if !identity.may_enter(name) {
            let user = &identity.user;
            let text = format!("access to vhost '{name}' refused for user '{user}'");
            let refused = Refused::new(ReplyCode::NotAllowed, text);
            return self.close(now, &refused, MethodId::CONNECTION_OPEN, out);
        }
        let shared = Shared::new(
            self.id,
            Arc::clone(&self.settings),
            Arc::clone(&self.outbox),
            Arc::clone(vhost),
            identity,
            self.limits.frame_max,
        );
        self.state = State::Open(Box::new(shared));
        self.put(out, ConnectionReply::OpenOk);
    }
}

/// Refuses a limit outside what the server offers, in RabbitMQ's words; 0 is no limit.
fn check_limit(name: &str, wanted: u32, min: u32, max: u32) -> Result<(), Refused> {
    let text = if wanted != 0 && wanted < min {
        format!("negotiated {name} = {wanted} is lower than the minimum allowed value ({min})")
    } else if max != 0 && (wanted == 0 || wanted > max) {
        let detail = if wanted == 0 { " (no limit)" } else { "" };
        format!(
            "negotiated {name} = {wanted}{detail} is higher than the maximum allowed value ({max})"
        )
    } else {
        return Ok(());
    };
    Err(Refused::new(ReplyCode::NotAllowed, text))
}

impl Client {
    fn of(properties: FieldTable<'_>) -> Self {
        let capabilities = match properties.value(b"capabilities") {
            Some(Value::Table(capabilities)) => capabilities,
            _ => FieldTable::default(),
        };
        let can = |name: &[u8]| capabilities.value(name) == Some(Value::Bool(true));
        Self {
            authentication_failure_close: can(b"authentication_failure_close"),
            connection_blocked: can(b"connection.blocked"),
            consumer_cancel_notify: can(b"consumer_cancel_notify"),
        }
    }
}
