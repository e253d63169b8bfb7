//! The gateway as a whole: brings the core back from the journal, opens the listeners, runs until
//! it is told to stop, and leaves everything safe.

mod background;
mod devices;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use mqtt::Connection as MqttConnection;
use routing::{Broker, ConnectionId, Lsn, PageSettings, Peer};
use rustix::rand::{GetRandomFlags, getrandom};
use storage::{DiskFiles, Health, PageStore};
use tokio::sync::Notify;
use tracing::{debug, error, warn};

use crate::auth::{Anonymous, Authenticator};
use crate::clock::Clock;
use crate::config::{Bind, Config, HttpListener, Listener, WebSocketListener};
use crate::connection::{Conditions, drive};
use crate::control;
use crate::discovery;
use crate::http;
use crate::journal::{self, Journal, RecoverError};
use crate::listener::{self, Admission, BindError};
use crate::metrics::Connections;
use crate::net::lan::{Counters, Identity, LanTask};
use crate::net::mqtt_sn;
use crate::net::stream::Stream;
use crate::net::websocket;
use crate::paging::{Bells, PageFiles, PageThreads};
use crate::settings;
use crate::shutdown::Shutdown;
use crate::system_topics;

/// The protocols whose connections are counted.
const PROTOCOLS: [&str; 5] = ["amqp", "mqtt", "mqtt_ws", "resp", "http"];

/// Everything that the gateway's tasks share.
#[derive(Debug)]
pub struct Shared {
    /// The clock.
    pub clock: Clock,
    /// The core.
    pub broker: Arc<Broker>,
    /// Who may come in; replaced when the configuration is read again.
    pub authenticator: ArcSwap<Authenticator>,
    /// The core's journal.
    pub journal: Arc<Journal>,
    /// The page files.
    pub pages: Arc<PageFiles>,
    /// Tasks, and their end.
    pub shutdown: Shutdown,
    /// Connections by protocol.
    pub connections: [(&'static str, Connections); 5],
    /// What all MQTT connections count.
    pub mqtt: Arc<mqtt::Counters>,
    /// What all Redis connections share, once there is a listener for them.
    pub resp: OnceLock<Arc<resp::Server>>,
    /// The numbers of each LAN link, by its name.
    pub lan_links: Vec<(String, Arc<Counters>)>,
    /// The numbers of each MQTT-SN gateway, by its name.
    pub mqtt_sn: Vec<(String, Arc<mqtt_sn::Counters>)>,
}

impl Shared {
    /// The counters of a protocol's connections.
    #[must_use]
    pub fn connections_of(&self, protocol: &str) -> Option<&Connections> {
        self.connections
            .iter()
            .find(|(name, _)| *name == protocol)
            .map(|(_, counts)| counts)
    }
}

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The journal cannot be opened.
    #[error("cannot open the data directory; `busbar journal check` tells more")]
    Open(#[from] storage::Error),
    /// What the journal holds cannot be served.
    #[error("cannot recover what the journal holds")]
    Recover(#[from] RecoverError),
    /// The listeners cannot be announced.
    #[error("cannot announce the listeners on the network")]
    Discovery(#[from] mdns_sd::Error),
    /// An MQTT-SN gateway cannot be opened.
    #[error("cannot open the MQTT-SN gateway \"{gateway}\"")]
    MqttSn {
        /// Its name.
        gateway: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A LAN link cannot be opened.
    #[error("cannot open the LAN link \"{link}\"")]
    Lan {
        /// The link's name.
        link: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Why a new configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It changes what only a restart can change.
    #[error("only a restart changes {sections}; nothing was changed")]
    Fixed {
        /// The sections that differ.
        sections: String,
    },
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    page_threads: PageThreads,
    /// What it runs with.
    config: Config,
    window_bytes: u64,
    failed: Arc<Notify>,
    /// The bound addresses, by protocol, in the order of the configuration.
    pub addresses: Vec<(&'static str, Bind)>,
}

impl Gateway {
    /// Starts a gateway; when this returns, clients are served. Call it inside a runtime.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let clock = Clock::start();
        let log_settings = settings::storage(config);
        let (log, recovery) = journal::open_log(log_settings.clone(), DiskFiles)?;
        let journal = Journal::new(log, &log_settings);
        let timers = Arc::new(Notify::new());
        let pages = PageStore::open(journal.log(), storage::PageSettings::default())?;
        let (pages, bells) = (Arc::new(PageFiles(pages)), Arc::new(Bells::default()));
        let broker = new_broker(config, &journal, (&pages, &bells), &timers);
        journal::recover(&broker, &journal, recovery, clock.now())?;
        let failed = Arc::new(Notify::new());
        watch_journal(&journal, &broker, &failed);
        let links = open_lan_links(config, &broker)?;
        let lan_links = links
            .iter()
            .map(|(name, link)| (name.clone(), link.counters()));
        let shared = Arc::new(Shared {
            clock,
            mqtt: Arc::default(),
            resp: OnceLock::new(),
            lan_links: lan_links.collect(),
            mqtt_sn: config
                .mqtt_sn
                .iter()
                .map(|gateway| (gateway.name.clone(), Arc::default()))
                .collect(),
            broker,
            authenticator: ArcSwap::from_pointee(Authenticator::new(config)?),
            journal,
            pages,
            shutdown: Shutdown::default(),
            connections: PROTOCOLS.map(|protocol| (protocol, Connections::default())),
        });
        let page_threads = PageThreads::start(&shared.broker, &shared.pages, &bells, clock)?;
        let mut gateway = Self {
            shared,
            page_threads,
            config: config.clone(),
            window_bytes: log_settings.segment_bytes * u64::from(log_settings.segment_count_max),
            failed,
            addresses: Vec::new(),
        };
        let listening = gateway.listen(config).and_then(|()| {
            let (shared, addresses) = (&gateway.shared, &gateway.addresses);
            Ok(discovery::announce(&config.discovery, addresses, shared)?)
        });
        if let Err(error) = listening {
            gateway.shared.shutdown.begin();
            return Err(error);
        }
        gateway.run_lan_links(links);
        gateway.run_control(&config.storage.data_dir);
        gateway.run_timers(timers);
        gateway.run_checkpoints();
        system_topics::run(&gateway.shared, config.mqtt.sys_interval);
        Ok(gateway)
    }

    /// Prints one line per listener with its bound address, then `ready`.
    pub fn announce(&self, mut print: impl FnMut(&str)) {
        for (protocol, address) in &self.addresses {
            print(&format!("{protocol} listening on {address}"));
        }
        print("ready");
    }

    /// Takes a new configuration, all or nothing. Users and permissions hold for whoever logs in
    /// from now on, policies for all queues and exchanges; everything else needs a restart.
    ///
    /// # Errors
    /// [`ReloadError`]; everything is as it was then.
    pub fn reload(&mut self, config: &Config) -> Result<(), ReloadError> {
        let fixed = config.differences(&self.config);
        if !fixed.is_empty() {
            return Err(ReloadError::Fixed {
                sections: fixed.join(", "),
            });
        }
        let authenticator = Authenticator::new(config)?;
        if let Some(resp) = self.shared.resp.get() {
            resp.set_users(authenticator.users());
        }
        self.shared.authenticator.store(Arc::new(authenticator));
        let policies = settings::policies(config);
        self.shared
            .broker
            .set_policies(self.shared.clock.now(), policies);
        self.config = config.clone();
        Ok(())
    }

    /// Waits until the journal has failed: nothing more can be promised to anybody then, and the
    /// process must end and recover.
    pub async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Stops: tells every client, waits for them at most the drain timeout, makes everything safe.
    ///
    /// # Errors
    /// When the journal could not be closed; a start recovers what is safe.
    pub async fn stop(self) -> Result<(), storage::Error> {
        if !self
            .shared
            .shutdown
            .finish(self.config.shutdown.drain_timeout)
            .await
        {
            warn!("some connections did not end in time");
        }
        let (shared, window_bytes) = (self.shared, self.window_bytes);
        let page_threads = self.page_threads;
        let closed = tokio::task::spawn_blocking(move || {
            drop(page_threads);
            let checkpoint = journal::checkpoint(&shared.broker, &shared.journal, window_bytes);
            if let Err(failure) = checkpoint {
                journal::log_checkpoint_failure(&failure);
            }
            shared.journal.log().clone().close()
        });
        closed
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn listen(&mut self, config: &Config) -> Result<(), StartError> {
        let listeners = &config.listeners;
        let amqp = Arc::new(settings::amqp(config));
        self.serve(
            "amqp",
            &listeners.amqp,
            move |id, peer, conditions: &Conditions| {
                let (shared, settings) = (&conditions.shared, Arc::clone(&amqp));
                let broker = Arc::clone(&shared.broker);
                amqp::Connection::new(broker, settings, id, peer, shared.clock.now())
            },
        )?;
        let mqtt = self.mqtt_front(config, &listeners.mqtt);
        self.serve("mqtt", &listeners.mqtt, mqtt)?;
        self.serve_web_sockets(config, &listeners.mqtt_ws)?;
        let now = self.shared.clock.now();
        let resp = resp::Server::new(settings::resp(config), random()?, now);
        let resp = Arc::clone(self.shared.resp.get_or_init(|| resp));
        resp.set_users(self.shared.authenticator.load().users());
        self.serve(
            "resp",
            &listeners.resp,
            move |id, peer, conditions: &Conditions| {
                let (shared, server) = (&conditions.shared, Arc::clone(&resp));
                let broker = Arc::clone(&shared.broker);
                resp::Connection::new(broker, server, id, peer, shared.clock.now())
            },
        )?;
        self.serve_mqtt_sn(config)?;
        self.watch(&listeners.http)
    }

    fn serve<F>(
        &mut self,
        protocol: &'static str,
        config: &Listener,
        front: impl Fn(ConnectionId, Peer, &Conditions) -> F + Clone + Send + Sync + 'static,
    ) -> Result<(), StartError>
    where
        F: routing::Frontend + Unpin + Send + 'static,
    {
        self.listen_at(protocol, config, move |stream, peer, conditions| {
            let id = ConnectionId::unique();
            let front = front(id, peer, &conditions);
            let driving = drive(id, front, stream, peer, conditions);
            async move {
                debug!(protocol, peer = ?peer.address, "connected");
                driving.await;
                debug!(protocol, peer = ?peer.address, "disconnected");
            }
        })
    }

    /// Makes the MQTT state machines of one listener.
    fn mqtt_front(
        &self,
        config: &Config,
        listener: &Listener,
    ) -> impl Fn(ConnectionId, Peer, &Conditions) -> MqttConnection + Clone + Send + Sync + 'static
    {
        let settings = Arc::new(settings::mqtt(config, listener, &self.shared.mqtt));
        move |id, peer, conditions: &Conditions| {
            let (shared, settings) = (&conditions.shared, Arc::clone(&settings));
            let broker = Arc::clone(&shared.broker);
            mqtt::Connection::new(broker, settings, id, peer, shared.clock.now())
        }
    }

    fn serve_web_sockets(
        &mut self,
        config: &Config,
        listener: &WebSocketListener,
    ) -> Result<(), StartError> {
        let front = self.mqtt_front(config, &listener.base);
        let terms = Arc::new(settings::web_socket(config));
        self.listen_at(
            "mqtt_ws",
            &listener.base,
            move |stream, peer, conditions| {
                let (front, terms) = (front.clone(), Arc::clone(&terms));
                async move {
                    let Some((stream, is_trusted)) = shake_hands(stream, &terms, &conditions).await
                    else {
                        return;
                    };
                    let is_loopback = peer.is_loopback && is_trusted;
                    let peer = Peer {
                        is_loopback,
                        ..peer
                    };
                    let id = ConnectionId::unique();
                    let front = front(id, peer, &conditions);
                    debug!(peer = ?peer.address, "connected by WebSocket");
                    drive(id, front, stream, peer, conditions).await;
                    debug!(peer = ?peer.address, "disconnected");
                }
            },
        )
    }

    /// Opens a listener's sockets and runs `serve` for each client.
    fn listen_at<Serving>(
        &mut self,
        protocol: &'static str,
        config: &Listener,
        serve: impl Fn(Stream, Peer, Arc<Conditions>) -> Serving + Clone + Send + Sync + 'static,
    ) -> Result<(), StartError>
    where
        Serving: Future<Output = ()> + Send + 'static,
    {
        let anonymous = if config.allow_anonymous {
            Anonymous::FromAnywhere
        } else {
            Anonymous::FromLoopback
        };
        let admission = Admission {
            connections_max: config.connections_max,
            proxy_protocol: config.proxy_protocol,
        };
        if !config.enabled {
            return Ok(());
        }
        for acceptor in listener::bind_all(protocol, &config.bind, config.socket_mode)? {
            self.addresses.push((protocol, acceptor.address()?));
            let conditions = Arc::new(Conditions {
                shared: Arc::clone(&self.shared),
                anonymous,
                user: None,
                write_timeout: Some(config.write_timeout).filter(|it| !it.is_zero()),
            });
            let (shared, serve) = (Arc::clone(&self.shared), serve.clone());
            let serve = move |stream, peer| serve(stream, peer, Arc::clone(&conditions));
            let accepting = listener::accept(protocol, acceptor, admission, shared, serve);
            self.shared.shutdown.spawn("listener", accepting);
        }
        Ok(())
    }

    /// The HTTP listener of those who watch the gateway.
    fn watch(&mut self, config: &HttpListener) -> Result<(), StartError> {
        let admission = Admission {
            connections_max: config.connections_max,
            proxy_protocol: false,
        };
        if !config.enabled {
            return Ok(());
        }
        for acceptor in listener::bind_all("http", &config.bind, config.socket_mode)? {
            self.addresses.push(("http", acceptor.address()?));
            let shared = Arc::clone(&self.shared);
            let serve = {
                let shared = Arc::clone(&self.shared);
                move |stream, _| http::serve(stream, Arc::clone(&shared))
            };
            let accepting = listener::accept("http", acceptor, admission, shared, serve);
            self.shared.shutdown.spawn("listener", accepting);
        }
        Ok(())
    }

    /// The gateway serves its clients without it, too.
    fn run_control(&self, data_dir: &Path) {
        match control::listen(data_dir) {
            Ok(listener) => {
                let serving = control::serve(listener, Arc::clone(&self.shared));
                self.shared.shutdown.spawn("control", serving);
            }
            Err(error) => warn!(%error, "no control socket; `busbar backup` is not possible"),
        }
    }

    fn run_lan_links(&self, links: Vec<(String, LanTask)>) {
        for (_, link) in links {
            let (clock, stop) = (self.shared.clock, self.shared.shutdown.token().clone());
            let running = link.run(move || clock.now(), stop);
            self.shared.shutdown.spawn("lan", running);
        }
    }
}

/// A client's WebSocket handshake, within its time.
async fn shake_hands(
    stream: Stream,
    terms: &websocket::Terms,
    conditions: &Conditions,
) -> Option<(websocket::WebSocket<Stream>, bool)> {
    let accepting = websocket::accept(stream, terms);
    let limited = tokio::time::timeout(websocket::HANDSHAKE_TIMEOUT, accepting);
    let stop = conditions.shared.shutdown.token();
    match stop.run_until_cancelled(limited).await? {
        Ok(Ok(accepted)) => Some(accepted),
        Ok(Err(error)) => {
            debug!(%error, "no WebSocket");
            None
        }
        Err(_elapsed) => None,
    }
}

fn new_broker(
    config: &Config,
    journal: &Arc<Journal>,
    (pages, bells): (&Arc<PageFiles>, &Arc<Bells>),
    timers: &Arc<Notify>,
) -> Arc<Broker> {
    let origins = vec![
        &amqp::ORIGIN,
        &mqtt::ORIGIN,
        &mqtt::VOUCHED_ORIGIN,
        &resp::ORIGIN,
        &lan::ORIGIN,
    ];
    let log: Arc<dyn routing::Journal> = Arc::clone(journal) as _;
    let (timers, bells) = (Arc::clone(timers), Arc::clone(bells));
    let pages = PageSettings {
        pages: Arc::clone(pages) as _,
        budget_bytes: settings::message_memory_bytes(config),
        wake: Box::new(move |work| bells.ring(work)),
    };
    Arc::new(Broker::with_pages(
        settings::core(config),
        log,
        pages,
        origins,
        Box::new(move || timers.notify_one()),
    ))
}

fn open_lan_links(config: &Config, broker: &Broker) -> Result<Vec<(String, LanTask)>, StartError> {
    let mut links = Vec::new();
    let mut identity = None;
    for link in &config.lan {
        if let Some(vhost) = broker.vhost(&link.vhost) {
            let name = link.name.clone();
            let known = match identity.take() {
                Some(identity) => Ok(identity),
                None => Identity::next(&config.storage.data_dir),
            };
            let opened = known.and_then(|known| {
                let known = identity.insert(known);
                LanTask::open(link.clone(), Arc::clone(vhost), known)
            });
            let opened = opened.map_err(|source| StartError::Lan {
                link: name.clone(),
                source,
            })?;
            links.push((name, opened));
        }
    }
    Ok(links)
}

/// A number that nobody can guess.
fn random() -> std::io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u128::from_ne_bytes(bytes))
}

/// Passes the journal's news on: the durable position to who waits for it, its failure to `main`.
fn watch_journal(journal: &Arc<Journal>, broker: &Arc<Broker>, failed: &Arc<Notify>) {
    let (broker, failed) = (Arc::downgrade(broker), Arc::clone(failed));
    let log = Arc::downgrade(journal);
    journal.log().on_durable(Box::new(move |durable| {
        if let Some(broker) = broker.upgrade() {
            broker.handle_durable(Lsn(durable.0));
        }
        if log
            .upgrade()
            .is_some_and(|journal| journal.log().health() == Health::Failed)
        {
            error!("the journal failed; the gateway stops, and recovers at its next start");
            failed.notify_one();
        }
    }));
}
