//! The command table: names, arities, flags, keys and categories as Redis 7.2.6 reports them.
//!
//! Each list is sorted by name, because the look-up is a binary search.

use super::{Flags as F, Spec};
use super::{acl, blocking, client, config, connection, docs, info, keys, lists, memory};
use super::{pubsub, server, strings, transaction};

/// Harmless in any state of the server.
const ANY: F = F::LOADING.and(F::STALE);
const ANY_FAST: F = ANY.and(F::FAST);
/// Changes or shows the connection's own state, which a script does not have.
const STATE: F = ANY.and(F::NOSCRIPT);
const ADMIN: F = STATE.and(F::ADMIN);
const MULTI: F = STATE.and(F::FAST).and(F::ALLOW_BUSY);
const STRANGER: F = MULTI.and(F::NO_AUTH);
const LOGIN: F = STRANGER.and(F::ASKS);
const LEAVE: F = STRANGER.and(F::SUBSCRIBED).and(F::UNQUEUED);
const PUBLISH: F = ANY_FAST.and(F::PUBSUB);
const SUBSCRIBE: F = STATE.and(F::PUBSUB).and(F::SUBSCRIBED).and(F::CONFIRMS);
const UNSUBSCRIBE: F = SUBSCRIBE.and(F::UNSUBSCRIBES);
const READ_FAST: F = F::READONLY.and(F::FAST);
const WRITE_FAST: F = F::WRITE.and(F::FAST);
/// Needs memory.
const GROW: F = F::WRITE.and(F::DENYOOM);
const GROW_FAST: F = GROW.and(F::FAST);

/// Every command, by name.
pub(super) const COMMANDS: &[Spec] = &[
    Spec::container("acl", ACL),
    Spec::new("append", 3, GROW_FAST, strings::append)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("asking", 1, F::FAST, server::no_cluster).categories(&["@connection"]),
    Spec::new("auth", -2, LOGIN, connection::auth).categories(&["@connection"]),
    Spec::new(
        "blmove",
        6,
        GROW.and(F::NOSCRIPT).and(F::BLOCKING).and(F::LIST),
        blocking::blmove,
    )
    .keys(1, 2, 1)
    .categories(&["@list", "@blocking"]),
    Spec::new(
        "blmpop",
        -5,
        F::WRITE.and(F::BLOCKING).and(F::MOVABLEKEYS).and(F::LIST),
        blocking::blmpop,
    )
    .categories(&["@list", "@blocking"]),
    Spec::new(
        "blpop",
        -3,
        F::WRITE.and(F::NOSCRIPT).and(F::BLOCKING).and(F::LIST),
        blocking::blpop,
    )
    .keys(1, -2, 1)
    .categories(&["@list", "@blocking"]),
    Spec::new(
        "brpop",
        -3,
        F::WRITE.and(F::NOSCRIPT).and(F::BLOCKING).and(F::LIST),
        blocking::brpop,
    )
    .keys(1, -2, 1)
    .categories(&["@list", "@blocking"]),
    Spec::new(
        "brpoplpush",
        4,
        GROW.and(F::NOSCRIPT).and(F::BLOCKING).and(F::LIST),
        blocking::brpoplpush,
    )
    .keys(1, 2, 1)
    .categories(&["@list", "@blocking"]),
    Spec::container("client", CLIENT),
    Spec::new("cluster", -2, F::NONE, server::no_cluster),
    Spec {
        subcommands: COMMAND,
        ..Spec::new("command", -1, ANY, server::command).categories(&["@connection"])
    },
    Spec::container("config", CONFIG),
    Spec::new("dbsize", 1, READ_FAST, server::dbsize).categories(&["@keyspace"]),
    Spec::container("debug", DEBUG),
    Spec::new("decr", 2, GROW_FAST, strings::decr)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("decrby", 3, GROW_FAST, strings::decrby)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("del", -2, F::WRITE, keys::del)
        .keys(1, -1, 1)
        .categories(&["@keyspace"]),
    Spec::new("discard", 1, MULTI.and(F::UNQUEUED), transaction::discard)
        .categories(&["@transaction"]),
    Spec::new("echo", 2, ANY_FAST, connection::echo).categories(&["@connection"]),
    Spec::new(
        "exec",
        1,
        STATE.and(F::SKIP_SLOWLOG).and(F::UNQUEUED),
        transaction::exec,
    )
    .categories(&["@transaction"]),
    Spec::new("exists", -2, READ_FAST, keys::exists)
        .keys(1, -1, 1)
        .categories(&["@keyspace"]),
    Spec::new("expire", -3, WRITE_FAST, keys::expire)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("expireat", -3, WRITE_FAST, keys::expireat)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("expiretime", 2, READ_FAST, keys::expiretime)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("flushall", -1, F::WRITE, server::flushall).categories(&["@keyspace", "@dangerous"]),
    Spec::new("flushdb", -1, F::WRITE, server::flushdb).categories(&["@keyspace", "@dangerous"]),
    Spec::new("get", 2, READ_FAST, strings::get)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("getdel", 2, WRITE_FAST, strings::getdel)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("getex", -2, WRITE_FAST, strings::getex)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("getset", 3, GROW_FAST, strings::getset)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("hello", -1, LOGIN, connection::hello).categories(&["@connection"]),
    Spec::new("incr", 2, GROW_FAST, strings::incr)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("incrby", 3, GROW_FAST, strings::incrby)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("info", -1, ANY, info::info).categories(&["@dangerous"]),
    Spec::new("keys", 2, F::READONLY, keys::keys).categories(&["@keyspace", "@dangerous"]),
    Spec::new("lastsave", 1, ANY_FAST, server::lastsave).categories(&["@admin", "@dangerous"]),
    Spec::new("lindex", 3, F::READONLY.and(F::LIST), lists::lindex)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("llen", 2, READ_FAST.and(F::LIST), lists::llen)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("lmove", 5, GROW.and(F::LIST), lists::lmove)
        .keys(1, 2, 1)
        .categories(&["@list"]),
    Spec::new(
        "lmpop",
        -4,
        F::WRITE.and(F::MOVABLEKEYS).and(F::LIST),
        lists::lmpop,
    )
    .categories(&["@list"]),
    Spec::new("lpop", -2, WRITE_FAST.and(F::LIST), lists::lpop)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("lpush", -3, GROW_FAST.and(F::LIST), lists::lpush)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("lpushx", -3, GROW_FAST.and(F::LIST), lists::lpushx)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("lrange", 4, F::READONLY.and(F::LIST), lists::lrange)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("lrem", 4, F::WRITE.and(F::LIST), lists::lrem)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("ltrim", 4, F::WRITE.and(F::LIST), lists::ltrim)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::container("memory", MEMORY),
    Spec::new("mget", -2, READ_FAST, strings::mget)
        .keys(1, -1, 1)
        .categories(&["@string"]),
    Spec::new("monitor", 1, ADMIN, client::monitor),
    Spec::new("mset", -3, GROW, strings::mset)
        .keys(1, -1, 2)
        .categories(&["@string"]),
    Spec::new("msetnx", -3, GROW, strings::msetnx)
        .keys(1, -1, 2)
        .categories(&["@string"]),
    Spec::new("multi", 1, MULTI.and(F::UNQUEUED), transaction::multi).categories(&["@transaction"]),
    Spec::new("persist", 2, WRITE_FAST, keys::persist)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("pexpire", -3, WRITE_FAST, keys::pexpire)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("pexpireat", -3, WRITE_FAST, keys::pexpireat)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("pexpiretime", 2, READ_FAST, keys::pexpiretime)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("ping", -1, F::FAST.and(F::SUBSCRIBED), connection::ping)
        .categories(&["@connection"]),
    Spec::new("psetex", 4, GROW, strings::psetex)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("psubscribe", -2, SUBSCRIBE, pubsub::psubscribe),
    Spec::new("pttl", 2, READ_FAST, keys::pttl)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("publish", 3, PUBLISH, pubsub::publish),
    Spec::container("pubsub", PUBSUB),
    Spec::new("punsubscribe", -1, UNSUBSCRIBE, pubsub::punsubscribe),
    Spec::new("quit", -1, LEAVE, connection::quit).categories(&["@connection"]),
    Spec::new("readonly", 1, ANY_FAST, server::no_cluster).categories(&["@connection"]),
    Spec::new("readwrite", 1, ANY_FAST, server::no_cluster).categories(&["@connection"]),
    Spec::new("reset", 1, LEAVE.and(F::UNSUBSCRIBES), connection::reset)
        .categories(&["@connection"]),
    Spec::new("role", 1, STATE.and(F::FAST), server::role).categories(&["@admin", "@dangerous"]),
    Spec::new("rpop", -2, WRITE_FAST.and(F::LIST), lists::rpop)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("rpoplpush", 3, GROW.and(F::LIST), lists::rpoplpush)
        .keys(1, 2, 1)
        .categories(&["@list"]),
    Spec::new("rpush", -3, GROW_FAST.and(F::LIST), lists::rpush)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("rpushx", -3, GROW_FAST.and(F::LIST), lists::rpushx)
        .keys(1, 1, 1)
        .categories(&["@list"]),
    Spec::new("scan", -2, F::READONLY, keys::scan).categories(&["@keyspace"]),
    Spec::new("select", 2, ANY_FAST, connection::select).categories(&["@connection"]),
    Spec::new("set", -3, GROW, strings::set)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("setex", 4, GROW, strings::setex)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("setnx", 3, GROW_FAST, strings::setnx)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::container("slowlog", SLOWLOG),
    Spec::new("spublish", 3, PUBLISH, pubsub::spublish).keys(1, 1, 1),
    Spec::new("ssubscribe", -2, SUBSCRIBE, pubsub::ssubscribe).keys(1, -1, 1),
    Spec::new("strlen", 2, READ_FAST, strings::strlen)
        .keys(1, 1, 1)
        .categories(&["@string"]),
    Spec::new("subscribe", -2, SUBSCRIBE, pubsub::subscribe),
    Spec::new("sunsubscribe", -1, UNSUBSCRIBE, pubsub::sunsubscribe).keys(1, -1, 1),
    Spec::new("time", 1, ANY_FAST, server::time),
    Spec::new("touch", -2, READ_FAST, keys::touch)
        .keys(1, -1, 1)
        .categories(&["@keyspace"]),
    Spec::new("ttl", 2, READ_FAST, keys::ttl)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("type", 2, READ_FAST, keys::type_of)
        .keys(1, 1, 1)
        .categories(&["@keyspace"]),
    Spec::new("unlink", -2, WRITE_FAST, keys::unlink)
        .keys(1, -1, 1)
        .categories(&["@keyspace"]),
    Spec::new("unsubscribe", -1, UNSUBSCRIBE, pubsub::unsubscribe),
    Spec::new("unwatch", 1, MULTI, transaction::unwatch).categories(&["@transaction"]),
    Spec::new("wait", 3, F::NONE, server::wait).categories(&["@connection"]),
    Spec::new("watch", -2, MULTI.and(F::UNQUEUED), transaction::watch)
        .keys(1, -1, 1)
        .categories(&["@transaction"]),
];

const ACL: &[Spec] = &[
    Spec::new("acl|cat", -2, STATE, acl::cat),
    Spec::new("acl|getuser", 3, ADMIN, acl::getuser),
    Spec::new("acl|help", 2, ANY, acl::help),
    Spec::new("acl|list", 2, ADMIN, acl::list),
    Spec::new("acl|users", 2, ADMIN, acl::users),
    Spec::new("acl|whoami", 2, STATE, acl::whoami),
];

const CLIENT: &[Spec] = &[
    Spec::new("client|caching", 3, STATE, client::caching).categories(&["@connection"]),
    Spec::new("client|getname", 2, STATE, client::getname).categories(&["@connection"]),
    Spec::new("client|getredir", 2, STATE, client::getredir).categories(&["@connection"]),
    Spec::new("client|help", 2, ANY, client::help).categories(&["@connection"]),
    Spec::new("client|id", 2, STATE, client::id).categories(&["@connection"]),
    Spec::new("client|info", 2, STATE, client::info).categories(&["@connection"]),
    Spec::new("client|kill", -3, ADMIN, client::kill).categories(&["@connection"]),
    Spec::new("client|list", -2, ADMIN, client::list).categories(&["@connection"]),
    Spec::new("client|no-evict", 3, ADMIN, client::no_evict).categories(&["@connection"]),
    Spec::new("client|no-touch", 3, STATE, client::no_touch).categories(&["@connection"]),
    Spec::new("client|pause", -3, ADMIN, client::pause).categories(&["@connection"]),
    Spec::new("client|reply", 3, STATE, client::reply).categories(&["@connection"]),
    Spec::new("client|setinfo", 4, STATE, client::setinfo).categories(&["@connection"]),
    Spec::new("client|setname", 3, STATE, client::setname).categories(&["@connection"]),
    Spec::new("client|tracking", -3, STATE, client::tracking).categories(&["@connection"]),
    Spec::new("client|trackinginfo", 2, STATE, client::trackinginfo).categories(&["@connection"]),
    Spec::new("client|unblock", -3, ADMIN, client::unblock).categories(&["@connection"]),
    Spec::new("client|unpause", 2, ADMIN, client::unpause).categories(&["@connection"]),
];

const COMMAND: &[Spec] = &[
    Spec::new("command|count", 2, ANY, server::command_count).categories(&["@connection"]),
    Spec::new("command|docs", -2, ANY, docs::command_docs).categories(&["@connection"]),
    Spec::new("command|getkeys", -3, ANY, server::command_getkeys).categories(&["@connection"]),
    Spec::new("command|help", 2, ANY, server::command_help).categories(&["@connection"]),
    Spec::new("command|info", -2, ANY, server::command_info).categories(&["@connection"]),
    Spec::new("command|list", -2, ANY, server::command_list).categories(&["@connection"]),
];

const CONFIG: &[Spec] = &[
    Spec::new("config|get", -3, ADMIN, config::get),
    Spec::new("config|help", 2, ANY, config::help),
    Spec::new("config|resetstat", 2, ADMIN, config::resetstat),
    Spec::new("config|rewrite", 2, ADMIN, config::rewrite),
    Spec::new("config|set", -4, ADMIN, config::set),
];

const PUBSUB: &[Spec] = &[
    Spec::new("pubsub|channels", -2, ANY.and(F::PUBSUB), pubsub::channels),
    Spec::new("pubsub|help", 2, ANY, pubsub::help),
    Spec::new("pubsub|numpat", 2, ANY.and(F::PUBSUB), pubsub::numpat),
    Spec::new("pubsub|numsub", -2, ANY.and(F::PUBSUB), pubsub::numsub),
    Spec::new(
        "pubsub|shardchannels",
        -2,
        ANY.and(F::PUBSUB),
        pubsub::shardchannels,
    ),
    Spec::new(
        "pubsub|shardnumsub",
        -2,
        ANY.and(F::PUBSUB),
        pubsub::shardnumsub,
    ),
];

const DEBUG: &[Spec] = &[
    Spec::new("debug|log", 3, ADMIN, memory::debug_log),
    Spec::new("debug|sleep", 3, ADMIN, memory::debug_sleep),
];

const MEMORY: &[Spec] = &[
    Spec::new("memory|doctor", 2, F::NONE, memory::doctor),
    Spec::new("memory|help", 2, ANY, memory::memory_help),
    Spec::new("memory|malloc-stats", 2, F::NONE, memory::malloc_stats),
    Spec::new("memory|purge", 2, F::NONE, memory::purge),
    Spec::new("memory|stats", 2, F::NONE, memory::stats),
    Spec::new("memory|usage", -3, F::READONLY, memory::usage).keys(2, 2, 1),
];

const SLOWLOG: &[Spec] = &[
    Spec::new("slowlog|get", -2, ADMIN, memory::slowlog_get),
    Spec::new("slowlog|help", 2, ANY, memory::slowlog_help),
    Spec::new("slowlog|len", 2, ADMIN, memory::slowlog_len),
    Spec::new("slowlog|reset", 2, ADMIN, memory::slowlog_reset),
];
