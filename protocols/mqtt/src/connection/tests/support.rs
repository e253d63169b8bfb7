//! A broker, its clients, and the small driver that the gateway's stands for.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use routing::permission::key_pattern;
use routing::queue::{QueueLimits, QueueOverflow};
use routing::{
    AuthError, BUS, Broker, ConnectionId, Credentials, Frontend, Identity, MemoryJournal, Name,
    OutBuf, Peer, Permissions, Request, Response, SaslReply, SaslStep, Timestamp, TopicPermissions,
};

use crate::wire::hex::hex;
use crate::{Connection, ORIGIN, Settings, VOUCHED_ORIGIN};

/// A broker in memory and the time.
pub(super) struct Bench {
    pub(super) broker: Arc<Broker>,
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    /// Patterns of the user's write and read rights.
    pub(super) rights: (&'static str, &'static str),
    /// Patterns of what it may not write and read on the bus.
    pub(super) except: Option<(&'static str, &'static str)>,
    /// The user whose password is wrong.
    pub(super) stranger: &'static str,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Broker::in_memory(vec![&ORIGIN, &VOUCHED_ORIGIN]))
    }

    /// A full session takes nothing new.
    pub(super) fn with_queues_of(messages_max: usize, bytes_max: Option<usize>) -> Self {
        let settings = routing::Settings {
            session_queue_limits: QueueLimits {
                messages_max: Some(messages_max),
                bytes_max,
                overflow: QueueOverflow::Reject,
                ..QueueLimits::default()
            },
            ..routing::Settings::default()
        };
        let journal = Arc::new(MemoryJournal::default());
        let origins = vec![&ORIGIN, &VOUCHED_ORIGIN];
        Self::with(Broker::new(settings, journal, origins, Box::new(|| {})))
    }

    pub(super) fn with(broker: Broker) -> Self {
        Self {
            broker: Arc::new(broker),
            settings: Settings::default(),
            now: Timestamp(1_700_000_000_000),
            rights: (".*", ".*"),
            except: None,
            stranger: "stranger",
        }
    }

    /// A client that has not sent anything.
    pub(super) fn client(&self) -> Client {
        let peer = Peer {
            address: None,
            local: None,
            is_loopback: true,
        };
        let settings = Arc::new(self.settings.clone());
        let id = ConnectionId::unique();
        Client {
            connection: Connection::new(Arc::clone(&self.broker), settings, id, peer, self.now),
            input: BytesMut::new(),
            out: OutBuf::default(),
        }
    }

    /// A 3.1.1 client with a clean session.
    pub(super) fn v4(&self, client_id: &str) -> Client {
        self.connected(&format!("00 04 'MQTT' 04 02 00 3C {}", string(client_id)))
    }

    /// A 5.0 client with a clean session.
    pub(super) fn v5(&self, client_id: &str) -> Client {
        self.connected(&format!(
            "00 04 'MQTT' 05 02 00 3C 00 {}",
            string(client_id)
        ))
    }

    /// A client that was let in; its CONNACK is forgotten.
    pub(super) fn connected(&self, connect_body: &str) -> Client {
        let mut client = self.client();
        let connack = client.send(self, &packet("10", connect_body));
        assert_eq!(connack.first(), Some(&0x20), "{connack:02x?}");
        assert_eq!(connack.get(3), Some(&0), "{connack:02x?}");
        assert!(!client.connection.is_closing());
        client
    }

    /// Moves the clock, and lets the broker do what is due.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.broker.handle_timeout(self.now);
    }

    /// A mechanism in which the client says its name, is asked `?`, and must answer `!`.
    fn step(&self, step: &SaslStep) -> Result<SaslReply, AuthError> {
        if step.is_first {
            return Ok(SaslReply::Challenge(Bytes::from_static(b"?")));
        }
        if step.data != "!" {
            return Err(AuthError::BadCredentials);
        }
        Ok(SaslReply::Done {
            identity: self.identity("alice".into()),
            data: Bytes::from_static(b"ok"),
        })
    }

    fn identify(&self, credentials: &Credentials) -> Result<Arc<Identity>, AuthError> {
        let user: Name = match credentials {
            Credentials::Anonymous => "anonymous".into(),
            Credentials::Password { user, .. } if user.as_str() == self.stranger => {
                return Err(AuthError::BadCredentials);
            }
            Credentials::Password { user, .. } => user.clone(),
        };
        Ok(self.identity(user))
    }

    fn identity(&self, user: Name) -> Arc<Identity> {
        let pattern = |text: &str| regex::Regex::new(text).unwrap();
        let permissions = Permissions {
            configure: pattern(""),
            write: pattern(self.rights.0),
            read: pattern(self.rights.1),
        };
        let topics = self.except.map(|(write, read)| {
            let patterns = TopicPermissions {
                write: pattern(".*"),
                read: pattern(".*"),
                write_except: Some(key_pattern(write, "u", "/").unwrap()),
                read_except: Some(key_pattern(read, "u", "/").unwrap()),
            };
            (("/".into(), BUS.into()), patterns)
        });
        Arc::new(Identity {
            user,
            tags: vec![],
            default_vhost: "/".into(),
            permissions: HashMap::from([("/".into(), permissions)]),
            topic_permissions: topics.into_iter().collect(),
        })
    }
}

/// One end.
pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) input: BytesMut,
    pub(super) out: OutBuf,
}

impl Client {
    /// Sends bytes and returns all that comes back.
    pub(super) fn send(&mut self, bench: &Bench, bytes: &str) -> Bytes {
        self.send_bytes(bench, &hex(bytes))
    }

    pub(super) fn send_bytes(&mut self, bench: &Bench, bytes: &[u8]) -> Bytes {
        self.input.extend_from_slice(bytes);
        self.connection
            .handle_input(bench.now, &mut self.input, &mut self.out);
        while let Some(request) = self.connection.poll_request() {
            let response = match request {
                Request::Authenticate(credentials) => {
                    Response::Authenticated(bench.identify(&credentials))
                }
                Request::Sasl(step) => Response::Sasl(bench.step(&step)),
            };
            self.connection
                .handle_response(bench.now, response, &mut self.out);
            self.connection
                .handle_input(bench.now, &mut self.input, &mut self.out);
        }
        self.recv(bench)
    }

    /// All that has come meanwhile.
    pub(super) fn recv(&mut self, bench: &Bench) -> Bytes {
        let mut received = Vec::new();
        loop {
            if !self.connection.is_closing() {
                self.connection.handle_outbox(bench.now, &mut self.out);
            }
            if self.out.is_empty() {
                break;
            }
            received.extend(self.out.to_vec());
            self.out.advance(self.out.len());
        }
        if self.connection.is_closing() {
            self.connection.handle_disconnect(bench.now);
        }
        received.into()
    }

    /// The socket breaks.
    pub(super) fn lose(mut self, bench: &Bench) {
        self.connection.handle_disconnect(bench.now);
    }

    /// Runs the timer if it is due, and returns what comes.
    pub(super) fn timeout(&mut self, bench: &Bench) -> Bytes {
        if self
            .connection
            .poll_timeout()
            .is_some_and(|at| at <= bench.now)
        {
            self.connection.handle_timeout(bench.now, &mut self.out);
        }
        self.recv(bench)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.connection.is_closing()
    }
}

/// A UTF-8 encoded string in hex and text.
pub(super) fn string(text: &str) -> String {
    format!("{:04X} '{text}'", text.len())
}

/// A packet of less than 128 bytes.
pub(super) fn packet(first_byte: &str, body: &str) -> String {
    let length = hex(body).len();
    assert!(length < 128);
    format!("{first_byte} {length:02X} {body}")
}
