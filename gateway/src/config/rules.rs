//! What concerns more than one key: names that must resolve, values that must be unique, limits
//! that must fit each other, and doors that must not stand open.

mod lan_loops;

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::document::{Document, Location};
use super::section::Reader;
use super::units::format_size;
use super::{Bind, Config, GUEST, User};

/// Reports every rule that `config` breaks.
pub(super) fn check(config: &Config, document: &Document, reader: &Reader<'_>) {
    let rules = Rules {
        config,
        document,
        reader,
    };
    rules.check_unique();
    rules.check_addresses();
    rules.check_limits();
    rules.check_lan_loops();
    // A name that could not be read looks like one that is missing.
    if !document.is_partial() {
        rules.check_vhosts();
        rules.check_anonymous_user();
        rules.check_device_users();
        rules.check_open_listeners();
    }
}

/// What disks and the kernel's cache write at a time.
const PAGE_BYTES: u64 = 4096;

/// A message's longest address, its bookkeeping, and the list of queues it went to.
const RECORD_OVERHEAD_BYTES: u64 = 128 << 10;

struct Rules<'a> {
    config: &'a Config,
    document: &'a Document,
    reader: &'a Reader<'a>,
}

impl Rules<'_> {
    fn at(&self, path: &str) -> Option<Location> {
        self.document.locate(path)
    }

    fn report(&self, title: String, path: &str, right: impl Into<String>) {
        self.reader
            .report(Diagnostic::new(title, self.at(path), right));
    }

    fn check_unique(&self) {
        let config = self.config;
        self.check_names(
            "virtual host",
            "vhosts",
            config.vhosts.iter().map(|vhost| &vhost.name),
        );
        self.check_names("user", "users", config.users.iter().map(|user| &user.name));
        self.check_names("LAN link", "lan", config.lan.iter().map(|link| &link.name));
        let names = config.mqtt_sn.iter().map(|gateway| &gateway.name);
        self.check_names("MQTT-SN gateway", "mqtt_sn", names);
        let names = config.policies.iter().map(|policy| &policy.name);
        self.check_names("policy", "policies", names);
        let names = config.operator_policies.iter().map(|policy| &policy.name);
        self.check_names("operator policy", "operator_policies", names);
        for (index, user) in config.users.iter().enumerate() {
            let noun = format!("permission of user `{}` in virtual host", user.name);
            let list = format!("users.{index}.permissions");
            let vhosts = user.permissions.iter().map(|permission| &permission.vhost);
            self.check_unique_in(&noun, &list, "vhost", vhosts);
        }
    }

    fn check_names<'n>(&self, noun: &str, list: &str, names: impl Iterator<Item = &'n String>) {
        self.check_unique_in(noun, list, "name", names);
    }

    fn check_unique_in<'n>(
        &self,
        noun: &str,
        list: &str,
        key: &str,
        names: impl Iterator<Item = &'n String>,
    ) {
        let mut first_by_name = BTreeMap::new();
        for (index, name) in names.enumerate() {
            // An empty name was refused already.
            let Some(first) = first_by_name.get(name).filter(|_| !name.is_empty()) else {
                first_by_name.insert(name, index);
                continue;
            };
            let title = format!("{noun} `{name}` is declared twice");
            let at = self.at(&format!("{list}.{index}.{key}"));
            let first = self.at(&format!("{list}.{first}.{key}"));
            let diagnostic = Diagnostic::new(title, at, "remove or rename this one");
            self.reader
                .report(diagnostic.context(first, "first declared here"));
        }
    }

    /// Two listeners cannot bind one address; with port 0 each gets its own.
    fn check_addresses(&self) {
        let listeners = &self.config.listeners;
        let messaging = listeners
            .messaging()
            .map(|(name, it)| (name, it.enabled, &it.bind));
        let http = ("http", listeners.http.enabled, &listeners.http.bind);
        let mut first_by_address: BTreeMap<&Bind, &str> = BTreeMap::new();
        for (name, enabled, bind) in messaging.into_iter().chain([http]) {
            if enabled && bind.is_empty() {
                let right = "give it an address, or say `enabled = false`";
                let path = format!("listeners.{name}.bind");
                self.report(format!("listener `{name}` has no address"), &path, right);
            }
            for address in bind.iter().filter(|address| enabled && is_fixed(address)) {
                let Some(first) = first_by_address.insert(address, name) else {
                    continue;
                };
                let title = format!("{address} is bound twice");
                let at = self.at(&format!("listeners.{name}.bind"));
                let diagnostic = Diagnostic::new(title, at, "choose another port");
                let first_at = self.at(&format!("listeners.{first}.bind"));
                let diagnostic = diagnostic.context(first_at, "first bound here");
                self.reader
                    .report(diagnostic.help(format!("it is an address of `{first}` too")));
            }
        }
    }

    fn check_limits(&self) {
        let resp = &self.config.resp;
        if resp.output_bytes_soft > resp.output_bytes_hard {
            let hard = format_size(resp.output_bytes_hard);
            let right = format!("must be at most `resp.output_bytes_hard`, \"{hard}\"");
            let title = "the soft limit is above the hard one".to_owned();
            self.report(title, "resp.output_bytes_soft", right);
        }
        self.check_largest_message();
        if !self.config.storage.segment_bytes.is_multiple_of(PAGE_BYTES) {
            let title = "`storage.segment_bytes` does not consist of whole pages".to_owned();
            self.report(
                title,
                "storage.segment_bytes",
                "must be a multiple of \"4KiB\"",
            );
        }
        let storage = &self.config.storage;
        let reserve = storage.segment_bytes * 4;
        if storage.disk_free_min != 0 && storage.disk_free_min < reserve {
            let title = "`storage.disk_free_min` leaves no room for the journal".to_owned();
            let right = format!("must be at least 4 segments, \"{}\"", format_size(reserve));
            self.report(title, "storage.disk_free_min", right);
        }
    }

    /// A message that may have to survive waits in memory for the disk as a whole.
    fn check_largest_message(&self) {
        let Config {
            amqp,
            mqtt,
            storage,
            ..
        } = self.config;
        let message = (amqp.message_bytes_max + amqp.frame_max).max(mqtt.packet_bytes_max);
        let needed = (message + RECORD_OVERHEAD_BYTES).next_multiple_of(1 << 20);
        if storage.pending_bytes_max >= needed {
            return;
        }
        let pending = "storage.pending_bytes_max";
        let [body, packet] = ["amqp.message_bytes_max", "mqtt.packet_bytes_max"];
        let at = [pending, body, packet, "amqp.frame_max"]
            .into_iter()
            .find_map(|key| self.document.find(key));
        let title = "the largest message is larger than what may wait for the disk";
        let right = format!("`{pending}` must be at least \"{}\"", format_size(needed));
        let help = format!("or lower `{body}` and `{packet}`: messages may have to be stored");
        self.reader
            .report(Diagnostic::new(title, at, right).help(help));
    }

    fn check_vhosts(&self) {
        let config = self.config;
        for (name, listener) in config.listeners.messaging() {
            if let Some(vhost) = &listener.vhost {
                self.check_vhost(vhost, &format!("listeners.{name}.vhost"));
            }
        }
        for (index, user) in config.users.iter().enumerate() {
            self.check_vhost(&user.default_vhost, &format!("users.{index}.default_vhost"));
            for (entry, permission) in user.permissions.iter().enumerate() {
                let path = format!("users.{index}.permissions.{entry}.vhost");
                self.check_vhost(&permission.vhost, &path);
            }
            for (entry, permission) in user.topic_permissions.iter().enumerate() {
                let path = format!("users.{index}.topic_permissions.{entry}.vhost");
                self.check_vhost(&permission.vhost, &path);
            }
        }
        let lists = [
            ("policies", &config.policies),
            ("operator_policies", &config.operator_policies),
        ];
        for (list, policies) in lists {
            for (index, policy) in policies.iter().enumerate() {
                self.check_vhost(&policy.vhost, &format!("{list}.{index}.vhost"));
            }
        }
        for (index, link) in config.lan.iter().enumerate() {
            self.check_vhost(&link.vhost, &format!("lan.{index}.vhost"));
        }
        for (index, gateway) in config.mqtt_sn.iter().enumerate() {
            self.check_vhost(&gateway.vhost, &format!("mqtt_sn.{index}.vhost"));
        }
    }

    fn check_vhost(&self, name: &str, path: &str) {
        let vhosts = &self.config.vhosts;
        if vhosts.iter().any(|vhost| vhost.name == name) {
            return;
        }
        let names: Vec<_> = vhosts
            .iter()
            .map(|vhost| format!("`{}`", vhost.name))
            .collect();
        let title = format!("there is no virtual host `{name}`");
        let right = "must be declared as [[vhosts]]";
        let diagnostic = Diagnostic::new(title, self.at(path).or_else(|| self.at("vhosts")), right);
        let help = format!("{path} names it; declared: {}", names.join(", "));
        self.reader.report(diagnostic.help(help));
    }

    fn check_device_users(&self) {
        for (index, gateway) in self.config.mqtt_sn.iter().enumerate() {
            let name = &gateway.user;
            // One that is missing is reported where it is read.
            let is_named = !name.is_empty();
            if is_named && !self.config.users.iter().any(|user| user.name == *name) {
                let title = format!("there is no user `{name}` for MQTT-SN devices");
                let path = format!("mqtt_sn.{index}.user");
                self.report(title, &path, "must be declared as [[users]]");
            }
        }
    }

    /// Only who asks for anonymous clients from elsewhere, or names their user, must have that
    /// user: leaving `guest` out of `[[users]]` is how anonymous access is switched off.
    fn check_anonymous_user(&self) {
        let name = &self.config.authentication.anonymous_user;
        if self.config.users.iter().any(|user| user.name == *name) {
            return;
        }
        let title = format!("there is no user `{name}` for clients without credentials");
        let key = "authentication.anonymous_user";
        if name != GUEST {
            self.report(title, key, "must be declared as [[users]]");
            return;
        }
        for (listener, settings) in self.config.listeners.messaging() {
            if settings.allow_anonymous {
                let path = format!("listeners.{listener}.allow_anonymous");
                let right = format!("declare `{name}` as [[users]], or set `{key}`");
                self.report(title.clone(), &path, right);
            }
        }
    }

    /// A listener that others reach and nobody can log in at is a mistake, or a door left open.
    fn check_open_listeners(&self) {
        if self.config.users.iter().any(can_come_from_elsewhere) {
            return;
        }
        for (name, listener) in self.config.listeners.messaging() {
            let open = listener.bind.iter().find(|address| !address.is_local());
            let (Some(address), true) = (open, listener.enabled) else {
                continue;
            };
            if listener.allow_anonymous {
                continue;
            }
            let title =
                format!("{address} is open to the network, but nobody may log in from there");
            let right = "bind 127.0.0.1, or declare a user";
            let at = self.at(&format!("listeners.{name}.bind"));
            self.reader
                .report(Diagnostic::new(title, at, right).help(format!(
                    "add [[users]] other than `{GUEST}` (`busbar passwd` makes the hash), \
                 or set listeners.{name}.allow_anonymous = true"
                )));
        }
    }
}

/// Whether the address is the same at every start: not a port that the system chooses.
fn is_fixed(address: &Bind) -> bool {
    match address {
        Bind::Tcp(address) => address.port() != 0,
        Bind::Unix(_) => true,
    }
}

fn can_come_from_elsewhere(user: &User) -> bool {
    user.name != GUEST && user.password_hash.is_some() && !user.loopback_only
}
