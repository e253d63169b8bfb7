//! `INFO`: the sections and fields that clients and monitoring tools read.
//!
//! Clients choose by `redis_version`, `redis_mode`, `role` and `loading` what to send; the rest is
//! for people. A field that has no meaning here is left out rather than made up.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Call, Kind, is};
use crate::error::Error;
use crate::server::Client;
use crate::wire::request::Request;

/// A section: its title and the function that writes its fields.
type Section = (
    &'static str,
    fn(&mut Call<'_>, &mut String) -> std::fmt::Result,
);

const SECTIONS: [Section; 9] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Modules", modules),
    ("Cluster", cluster),
    ("Keyspace", keyspace),
];

/// RESP: `INFO [section ...]`; `default`, `all` and `everything` are all there are.
pub(super) fn info(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let wants_all = request.len() == 1
        || request.args_from(1).any(|arg| {
            ["default", "all", "everything"]
                .iter()
                .any(|all| is(arg, all))
        });
    let mut text = String::new();
    for (title, write) in SECTIONS {
        let name = title.to_ascii_lowercase();
        if !wants_all && !request.args_from(1).any(|arg| is(arg, &name)) {
            continue;
        }
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        // Writing to a String cannot fail.
        let written = write!(text, "# {title}\r\n").and_then(|()| write(call, &mut text));
        debug_assert!(written.is_ok());
    }
    call.reply.verbatim(&text);
    Ok(())
}

fn server(call: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    let uptime = call.now.since_ms(call.server.started_at) / 1000;
    write!(
        text,
        "redis_version:{}\r\nredis_mode:standalone\r\nserver_name:busbar\r\nbusbar_version:{}\r\n\
         arch_bits:{}\r\nrun_id:{}\r\ntcp_port:{}\r\nserver_time_usec:{}\r\n\
         uptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n",
        call.server.settings.version,
        env!("CARGO_PKG_VERSION"),
        usize::BITS,
        call.server.run_id,
        call.session.client.local_port,
        call.now.0.saturating_mul(1000),
        uptime / 86_400,
    )
}

fn clients(call: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    let clients = call.server.clients();
    let subscribed = clients
        .iter()
        .filter(|client| client.id != call.session.client.id && client.snapshot().is_subscribed())
        .count();
    let own = usize::from(call.session.is_subscribed());
    let is_blocked = |client: &&std::sync::Arc<Client>| client.snapshot().is_blocked;
    let blocked = clients.iter().filter(is_blocked).count();
    write!(
        text,
        "connected_clients:{}\r\nblocked_clients:{blocked}\r\npubsub_clients:{}\r\n",
        clients.len(),
        subscribed + own
    )
}

fn memory(call: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    let max = call.keyspace().bytes_max();
    let used = call.keyspace().bytes();
    write!(
        text,
        "used_memory_dataset:{used}\r\nmaxmemory:{max}\r\nmaxmemory_policy:noeviction\r\n"
    )
}

/// RESP: ioredis waits until `loading` is 0.
fn persistence(_: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    text.write_str(
        "loading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\naof_enabled:0\r\n",
    )
}

fn stats(call: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    let (channels, patterns, shard_channels) = match &call.session.login {
        Some(login) => (
            login.bus.channels(Kind::Channel, None).len(),
            login.bus.pattern_count(),
            login.bus.channels(Kind::ShardChannel, None).len(),
        ),
        None => (0, 0, 0),
    };
    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = &call.server.counters;
    write!(
        text,
        "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n\
         rejected_connections:{}\r\npubsub_channels:{channels}\r\n\
         pubsub_patterns:{patterns}\r\npubsubshard_channels:{shard_channels}\r\n\
         acl_access_denied_auth:{}\r\nclient_output_buffer_limit_disconnections:{}\r\n",
        counted(&counters.connections),
        counted(&counters.requests) + call.session.requests,
        counted(&counters.refused),
        counted(&counters.logins_refused),
        counted(&counters.cut_off),
    )
}

fn replication(call: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n\
         master_replid:{}\r\nmaster_repl_offset:0\r\n",
        call.server.run_id
    )
}

fn modules(_: &mut Call<'_>, _: &mut String) -> std::fmt::Result {
    Ok(())
}

/// RESP: redis-py's and Redis's own test suites look here first.
fn cluster(_: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    text.write_str("cluster_enabled:0\r\n")
}

fn keyspace(call: &mut Call<'_>, text: &mut String) -> std::fmt::Result {
    for database in 0..call.server.settings.databases {
        let keyspace = call.keyspace();
        let (keys, expires) = (keyspace.len(database), keyspace.expiring(database));
        if keys > 0 {
            write!(
                text,
                "db{database}:keys={keys},expires={expires},avg_ttl=0\r\n"
            )?;
        }
    }
    Ok(())
}
