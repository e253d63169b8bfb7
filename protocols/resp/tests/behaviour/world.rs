//! Some Redis clients of one gateway, without sockets: bytes in, bytes out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::BytesMut;
use resp::{Connection, Server, Settings};
use routing::{
    AuthError, Broker, ConnectionId, Credentials, Frontend, Identity, Name, OutBuf, Peer,
    Permissions, Request, Response, Timestamp,
};

/// The version that the transcripts were recorded from.
const VERSION: &str = "7.2.6";

/// A gateway and its clients, by name.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) broker: Arc<Broker>,
    pub(crate) server: Arc<Server>,
    /// Users that may log in, each with the password `secret`.
    pub(crate) users: HashMap<String, Arc<Identity>>,
    /// Who is who logs in with nothing.
    pub(crate) anonymous: Option<Arc<Identity>>,
    clients: BTreeMap<String, Client>,
}

/// One client.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) input: BytesMut,
    pub(crate) out: OutBuf,
}

impl World {
    /// Everybody may do everything.
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Timestamp(1_700_000_000_000);
        Self {
            now,
            broker: Arc::new(Broker::in_memory(vec![&resp::ORIGIN])),
            server: Server::new(settings, 7, now),
            users: HashMap::new(),
            anonymous: Some(user("anonymous", ".*", ".*")),
            clients: BTreeMap::new(),
        }
    }

    /// With a password, the server knows `default` alone.
    pub(crate) fn with_password(has_password: bool) -> Self {
        let mut world = Self::new(Settings {
            version: VERSION.to_owned(),
            ..Settings::default()
        });
        if has_password {
            world.anonymous = None;
            world
                .users
                .insert("default".to_owned(), user("default", ".*", ".*"));
        }
        world
    }

    /// The client of that name; it connects when it is first named.
    pub(crate) fn client(&mut self, name: &str) -> &mut Client {
        let (broker, server) = (Arc::clone(&self.broker), Arc::clone(&self.server));
        let now = self.now;
        self.clients.entry(name.to_owned()).or_insert_with(|| {
            let peer = Peer {
                address: None,
                local: None,
                is_loopback: true,
            };
            let connection = Connection::new(broker, server, ConnectionId::unique(), peer, now);
            Client {
                connection,
                input: BytesMut::new(),
                out: OutBuf::default(),
            }
        })
    }

    /// Gives bytes to a client's connection, and the answers that it asks for.
    pub(crate) fn send(&mut self, name: &str, bytes: &[u8]) {
        let (users, anonymous) = (self.users.clone(), self.anonymous.clone());
        let now = self.now;
        let client = self.client(name);
        client.input.extend_from_slice(bytes);
        loop {
            client
                .connection
                .handle_input(now, &mut client.input, &mut client.out);
            let Some(Request::Authenticate(credentials)) = client.connection.poll_request() else {
                break;
            };
            let known = match &credentials {
                Credentials::Anonymous => anonymous.as_ref(),
                Credentials::Password { user, password } if password == "secret" => {
                    users.get(user.as_str())
                }
                Credentials::Password { .. } => None,
            };
            let answer = known.cloned().ok_or(AuthError::BadCredentials);
            let answer = Response::Authenticated(answer);
            client
                .connection
                .handle_response(now, answer, &mut client.out);
        }
    }

    /// Sends one inline request and returns all that the client has received by then, escaped.
    pub(crate) fn ask(&mut self, name: &str, line: &str) -> String {
        self.send(name, &[line.as_bytes(), b"\r\n"].concat());
        self.received(name)
    }

    /// All that a client has received since the last time, escaped.
    pub(crate) fn received(&mut self, name: &str) -> String {
        let now = self.now;
        let client = self.client(name);
        client.connection.handle_outbox(now, &mut client.out);
        written(&mut client.out).escape_ascii().to_string()
    }

    /// The client's connection breaks.
    pub(crate) fn disconnect(&mut self, name: &str) {
        if let Some(mut client) = self.clients.remove(name) {
            client.connection.handle_disconnect(self.now);
        }
    }

    /// Time passes, and each connection looks at it.
    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        for client in self.clients.values_mut() {
            let is_due = |at: Timestamp| at <= self.now;
            if client.connection.poll_timeout().is_some_and(is_due) {
                client.connection.handle_timeout(self.now, &mut client.out);
            }
        }
    }

    /// Whether the client's connection is over.
    pub(crate) fn is_closed(&mut self, name: &str) -> bool {
        self.client(name).connection.is_closing()
    }

    /// What each client has received, and whether its connection is over; that is then gone.
    pub(crate) fn drain(&mut self) -> Vec<(String, Vec<u8>, bool)> {
        let mut all = Vec::new();
        for (name, client) in &mut self.clients {
            client.connection.handle_outbox(self.now, &mut client.out);
            if !client.input.is_empty() && client.connection.wants_input() {
                let (input, out) = (&mut client.input, &mut client.out);
                client.connection.handle_input(self.now, input, out);
            }
            let bytes = written(&mut client.out);
            let is_closed = client.connection.is_closing();
            if is_closed {
                client.connection.handle_disconnect(self.now);
            }
            all.push((name.clone(), bytes, is_closed));
        }
        self.clients
            .retain(|_, client| !client.connection.is_closing());
        all
    }
}

/// Writes all that waits to the peer.
fn written(out: &mut OutBuf) -> Vec<u8> {
    let bytes = out.to_vec();
    out.advance(bytes.len());
    bytes
}

/// A user of the virtual host `/` with these rights to write and read.
pub(crate) fn user(name: &str, write: &str, read: &str) -> Arc<Identity> {
    user_of("/", name, write, read)
}

/// A user of another virtual host.
pub(crate) fn user_of(vhost: &str, name: &str, write: &str, read: &str) -> Arc<Identity> {
    let pattern = |text: &str| regex::Regex::new(text).unwrap();
    let permissions = Permissions {
        configure: pattern(".*"),
        write: pattern(write),
        read: pattern(read),
    };
    Arc::new(Identity {
        user: name.into(),
        tags: Vec::new(),
        default_vhost: vhost.into(),
        permissions: HashMap::from([(Name::from(vhost), permissions)]),
        topic_permissions: HashMap::new(),
    })
}
