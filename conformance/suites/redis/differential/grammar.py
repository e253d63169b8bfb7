"""Random requests: every command that both servers have, with arguments that are right, nearly right, and wrong.

The alphabets are small, so that requests meet on the same keys and channels.
"""

import random

KEYS = [b"k1", b"k2", b"k3", b"K1", b"", b"k \r\n\x00\xff"]
LISTS = [b"l1", b"l2", b"l3", b"l4"]
CHANNELS = [b"c1", b"c2", b"news/a", b"news/b", b"", b"c\x00\xff", "é".encode()]
PATTERNS = [b"*", b"c?", b"news/*", b"[a-c]1", b"[^c]*", b"c[", b"\\c1", b"**1", b"", b"news*", b"?" * 3, b"[z-a]2"]
VALUES = [b"", b"0", b"1", b"-1", b"10", b"9223372036854775807", b"-9223372036854775808", b"abc", b"1.5", b" 1", b"01",
          b"x" * 40, b"\r\n", b"\x00\xff"]
NUMBERS = [b"0", b"1", b"2", b"-1", b"-2", b"3", b"100", b"-100", b"x", b"", b"9223372036854775807",
           b"9223372036854775808", b"-9223372036854775808", b"1.5", b"+1"]
# Nothing may expire while a case runs: seconds or milliseconds that are past, or far off.
TIMES = [b"100000", b"900000", b"0", b"-1", b"x", b"9223372036854775807", b"9223372036854775", b""]
FEW = [b"0", b"1", b"-1", b"2", b"-2"]


def one(alphabet):
    return lambda pick: [pick.choice(alphabet)]


def some(alphabet, least=1, most=3):
    return lambda pick: [pick.choice(alphabet) for _ in range(pick.randint(least, most))]


def maybe(*parts, odds=0.5):
    return lambda pick: [word for part in parts for word in part(pick)] if pick.random() < odds else []


def word(*words):
    return one([w.encode() for w in words])


def pairs(least=1, most=2):
    return lambda pick: [pick.choice(a) for _ in range(pick.randint(least, most)) for a in (KEYS, VALUES)]


def mixed(*parts, least=0, most=2):
    """Some of the parts, in any order, also twice."""
    return lambda pick: [w for _ in range(pick.randint(least, most)) for w in pick.choice(parts)(pick)]


def both(*parts):
    return lambda pick: [w for part in parts for w in part(pick)]


KEY, VALUE, NUMBER, LIST, CHANNEL = one(KEYS), one(VALUES), one(NUMBERS), one(LISTS), one(CHANNELS)
ANY_KEY = one(KEYS + LISTS)
SIDE = word("LEFT", "RIGHT", "left", "Right", "UP")
EXPIRY = mixed(both(word("EX", "PX", "ex"), one(TIMES)), both(word("EXAT", "PXAT"), word("4102444800", "0", "x")),
               word("KEEPTTL"), most=1)

# A request may wait, but not for longer than the steps take. (Redis takes 1e30 for negative.)
WAIT = word("0.01", "0.01", "0.005", "-1", "x")

# Each family: rows of the command's words and its arguments.
FAMILIES = {
    "pubsub": [
        ("SUBSCRIBE", some(CHANNELS)), ("UNSUBSCRIBE", some(CHANNELS, 0)), ("PSUBSCRIBE", some(PATTERNS)),
        ("PUNSUBSCRIBE", some(PATTERNS, 0)), ("SSUBSCRIBE", some(CHANNELS)), ("SUNSUBSCRIBE", some(CHANNELS, 0)),
        *[("PUBLISH", both(CHANNEL, VALUE))] * 4, ("SPUBLISH", both(CHANNEL, VALUE)),
        ("PUBSUB CHANNELS", maybe(one(PATTERNS))), ("PUBSUB NUMSUB", some(CHANNELS, 0)), ("PUBSUB NUMPAT", both()),
        ("PUBSUB SHARDCHANNELS", maybe(one(PATTERNS))), ("PUBSUB SHARDNUMSUB", some(CHANNELS, 0)),
        ("PUBSUB NOPE", both()), ("PUBSUB", both()), ("PING", maybe(VALUE)),
    ],
    "connection": [
        ("PING", maybe(VALUE)), ("ECHO", VALUE), ("SELECT", one([b"0", b"1", b"15", b"16", b"-1", b"x"])),
        ("HELLO 3", both()), ("HELLO 2", both()), ("HELLO", one([b"4", b"x", b"1"])), ("HELLO 3", word("NOPE")),
        ("HELLO 3 SETNAME", word("tom", "with space", "")), ("HELLO 3 AUTH", word("default", "nobody")),
        ("HELLO 3 AUTH nobody wrong", maybe(word("NOPE"), odds=0.3)), ("AUTH", both(maybe(word("default", "nobody")), word("pw"))),
        ("RESET", both()), ("CLIENT SETNAME", word("tom", "tim", "with space", "")), ("CLIENT GETNAME", both()),
        ("CLIENT NO-EVICT", word("on", "off", "x")), ("CLIENT REPLY", word("ON", "SKIP", "x")),
        ("CLIENT KILL ID", word("0", "x", "999999999")), ("CLIENT KILL", word("1.2.3.4:5", "ID")),
        ("CLIENT KILL TYPE", word("nope")), ("CLIENT UNBLOCK", both(word("999999999", "x"), maybe(word("ERROR", "x")))),
        ("CLIENT UNBLOCK <id>", both()),
        ("CLIENT TRACKING", word("off", "x")), ("CLIENT GETREDIR", both()), ("CLIENT CACHING", word("yes", "x")),
        ("CLIENT NOPE", both()), ("CLIENT", both()), ("CLIENT LIST", word("x", "TYPE", "ID")),
        ("CLIENT LIST TYPE", word("nope", "replica", "master")),
    ],
    "strings": [
        ("GET", KEY), ("SET", both(KEY, VALUE)),
        ("SET", both(KEY, VALUE, mixed(word("NX", "XX", "GET", "nx", "FOO"), EXPIRY, most=3))),
        ("SETNX", both(KEY, VALUE)), ("SETEX", both(KEY, one(TIMES), VALUE)), ("PSETEX", both(KEY, one(TIMES), VALUE)),
        ("GETSET", both(KEY, VALUE)), ("GETDEL", KEY), ("GETEX", both(KEY, EXPIRY, maybe(word("PERSIST"), odds=0.2))),
        ("MGET", some(KEYS)), ("MSET", pairs()), ("MSETNX", pairs()), ("MSET", some(KEYS)), ("APPEND", both(KEY, VALUE)),
        ("STRLEN", KEY), ("INCR", KEY), ("DECR", KEY), ("INCRBY", both(KEY, NUMBER)), ("DECRBY", both(KEY, NUMBER)),
    ],
    "keys": [
        ("DEL", some(KEYS + LISTS)), ("UNLINK", some(KEYS)), ("EXISTS", some(KEYS + LISTS)), ("TYPE", ANY_KEY),
        ("TOUCH", some(KEYS)), ("EXPIRE", both(KEY, one(TIMES), maybe(word("NX", "XX", "GT", "LT", "FOO")))),
        ("PEXPIRE", both(KEY, one(TIMES), mixed(word("NX", "XX", "GT", "LT")))), ("PERSIST", KEY),
        ("EXPIREAT", both(KEY, word("4102444800", "1", "x"))), ("PEXPIREAT", both(KEY, word("4102444800000", "1"))),
        ("TTL", KEY), ("PTTL", KEY), ("EXPIRETIME", KEY), ("PEXPIRETIME", KEY), ("DBSIZE", both()),
        ("KEYS", one(PATTERNS)), ("SCAN 0", mixed(both(word("MATCH"), one(PATTERNS)), both(word("COUNT"), word("100")),
                                                  both(word("TYPE"), word("string", "list")))),
        ("SCAN", word("x", "")), ("SCAN 0 COUNT", word("0", "x")), ("FLUSHALL", maybe(word("ASYNC", "x"), odds=0.3)),
        ("FLUSHDB", maybe(word("SYNC"), odds=0.3)),
    ],
    "lists": [
        *[("RPUSH", both(LIST, some(VALUES))), ("LPUSH", both(LIST, some(VALUES)))] * 3,
        ("RPUSHX", both(LIST, some(VALUES))), ("LPUSHX", both(LIST, some(VALUES))),
        ("LPOP", both(LIST, maybe(one(FEW + [b"x"])))), ("RPOP", both(LIST, maybe(one(FEW + [b"x"])))),
        ("LLEN", LIST), ("LINDEX", both(LIST, NUMBER)), ("LRANGE", both(LIST, NUMBER, NUMBER)), ("LRANGE", both(LIST, word("0"), word("-1"))),
        ("LREM", both(LIST, one(FEW), VALUE)), ("LREM", both(LIST, NUMBER, VALUE)), ("LTRIM", both(LIST, NUMBER, NUMBER)),
        ("LTRIM", both(LIST, one(FEW), one(FEW))),
        ("LMOVE", both(LIST, LIST, SIDE, SIDE)), ("RPOPLPUSH", both(LIST, LIST)),
        ("LMPOP", both(word("1", "2", "0", "x"), some(LISTS), SIDE, maybe(word("COUNT"), one(FEW)))),
        ("BLPOP", both(some(LISTS), WAIT)), ("BRPOP", both(some(LISTS), WAIT)), ("BLMOVE", both(LIST, LIST, SIDE, SIDE, WAIT)),
        ("BRPOPLPUSH", both(LIST, LIST, WAIT)),
        ("BLMPOP", both(WAIT, word("1", "2", "x"), some(LISTS), SIDE, maybe(word("COUNT"), one(FEW)))),
        ("DEL", some(LISTS)), ("EXISTS", some(LISTS)), ("TYPE", LIST), ("TTL", LIST), ("KEYS", word("l*", "*", "l?")),
        ("DBSIZE", both()), ("GET", LIST), ("INCR", LIST), ("STRLEN", LIST), ("MGET", some(LISTS)), ("SETNX", both(LIST, VALUE)),
        ("LLEN", word("string")), ("LPUSHX", both(word("string"), VALUE)), ("SET", both(word("string"), VALUE)),
        ("WATCH", some(LISTS)), ("MULTI", both()), ("EXEC", both()), ("EXEC", both()), ("FLUSHALL", both()),
    ],
    "transactions": [
        ("MULTI", both()), ("EXEC", both()), ("EXEC", both()), ("DISCARD", both()), ("WATCH", some(KEYS)),
        ("UNWATCH", both()), ("SET", both(KEY, VALUE)), ("INCR", KEY), ("PUBLISH", both(CHANNEL, VALUE)),
    ],
    "server": [
        ("COMMAND COUNT", word("x")), ("COMMAND INFO", word("nosuch", "get")), ("COMMAND NOPE", both()),
        ("COMMAND GETKEYS", both(word("GET", "SET", "PING", "NOPE"), some(KEYS, 0))),
        ("CONFIG GET", word("nosuch")), ("CONFIG SET", both(word("nosuch"), VALUE)), ("CONFIG", word("NOPE")),
        ("CONFIG GET", word("maxclients", "databases", "save", "appendonly", "timeout")),
        ("ACL WHOAMI", both()), ("ACL NOPE", both()), ("ACL CAT", word("pubsub", "x")),
        ("TIME", word("x")), ("CLUSTER", word("INFO", "NODES", "SLOTS")), ("READONLY", both()), ("READWRITE", both()),
        ("WAIT", both(word("0", "x"), word("0", "x"))), ("NOSUCH", some(VALUES, 0)),
        ("LASTSAVE", word("x")),
    ],
}


def request(pick: random.Random, family: str) -> list[bytes]:
    """A request of a family. One in twenty has an argument too many or too few."""
    words, arguments = pick.choice(FAMILIES[family])
    asked = words.encode().split() + arguments(pick)
    if pick.random() < 0.05:
        asked = asked[:-1] if pick.random() < 0.5 and len(asked) > 1 else asked + [pick.choice(VALUES)]
    if pick.random() < 0.1:
        asked[0] = asked[0].lower()
    return asked
