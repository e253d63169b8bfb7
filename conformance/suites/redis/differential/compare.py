"""When two servers have answered the same: what is compared how, and where Busbar means to differ.

Debian's Redis is 7.0; Busbar answers as 7.2 does. So most of the intended differences are 7.2's own, and the recorded
transcripts of a 7.2.6 (`protocols/resp/tests/behaviour/transcripts`) prove the texts that are expected here.
"""

import re
from typing import NamedTuple

# Commands whose reply has elements in no order.
UNORDERED = {b"keys", b"scan", b"pubsub", b"unsubscribe", b"punsubscribe", b"sunsubscribe", b"acl", b"reset", b"exec"}

# Replies that tell the time: command, and how far apart they may be.
TIMED = {b"ttl": 1, b"pttl": 1000, b"expiretime": 1, b"pexpiretime": 1000, b"lastsave": 10**9}


class Rule(NamedTuple):
    """An intended difference: three regular expressions and a reason."""

    asked: str
    redis: str
    busbar: str
    why: str


INTENDED = [
    Rule(r"hello", r".*\$7\.0\.", r".*\$version \$7\.2\.", "version and connection id are one's own"),
    Rule(r"hello", r"-WRONGPASS", r"-ERR Syntax error in HELLO option", "7.2 reads all options of HELLO first"),
    Rule(r"command info get", r".*begin_search", r"(?!.*begin_search)", "COMMAND INFO gives no key specifications"),
    Rule(r"command getkeys", r"-ERR wrong number", r"-ERR (Invalid|The) command|-ERR Can't",
         "7.2 takes a command without arguments"),
    Rule(r"command getkeys", r"-ERR wrong number", r"-ERR Invalid number of arguments", "7.2 says whose number is wrong"),
    Rule(r"cluster", r"-ERR (Can't execute|wrong number of arguments for) 'cluster\|", r"-ERR (Can't|This)",
         "CLUSTER is one refusal and has no subcommands"),
]


def text(frame) -> str:
    """A frame as one line, for patterns and failures."""
    kind, *value = frame
    if not value:
        return kind
    if isinstance(value[0], tuple):
        return kind + "(" + " ".join(text(item) for item in value[0]) + ")"
    return kind + value[0].decode("latin-1")


def find_intended(request: list[bytes], expected, actual) -> int | None:
    """The place in `INTENDED` of the rule by which this pair of replies differs."""
    asked = b" ".join(request).decode("latin-1").lower()
    for place, rule in enumerate(INTENDED):
        pairs = ((rule.asked, asked), (rule.redis, text(expected)), (rule.busbar, text(actual)))
        if all(re.match(pattern, subject, re.DOTALL) for pattern, subject in pairs):
            return place
    return None


def sorted_frame(frame):
    """The frame with the elements of its aggregates in one order."""
    if len(frame) > 1 and isinstance(frame[1], tuple):
        return (frame[0], tuple(sorted((sorted_frame(item) for item in frame[1]), key=repr)))
    return frame


def pattern_message(frame) -> str:
    """A key that sorts the deliveries by pattern, and leaves everything else in place before them."""
    shown = text(frame)
    return shown if shown[1:].startswith("($pmessage ") else ""


def differences(request: list[bytes], expected: list, actual: list, hits: set) -> list[str]:
    """What is not the same in what one client received; `hits` collects the intended rules that were met."""
    name = request[0].lower()
    found = []
    for kind in ("reply", "push"):
        left = [frame for frame in expected if (frame[0] == ">") == (kind == "push")]
        right = [frame for frame in actual if (frame[0] == ">") == (kind == "push")]
        # Nor has a message's way through several patterns of one client.
        left.sort(key=pattern_message)
        right.sort(key=pattern_message)
        if name in UNORDERED:
            left, right = (sorted((sorted_frame(frame) for frame in side), key=repr) for side in (left, right))
            if left != right and request[1:] == [] and name.endswith(b"unsubscribe"):
                # Which of several is confirmed first, and so with which count, is open.
                left, right = (sorted(re.findall(r"[$:][^ )]*", " ".join(map(text, s)))) for s in (left, right))
                left, right = ([("", " ".join(side).encode())] for side in (left, right))
        for index in range(max(len(left), len(right))):
            redis = left[index] if index < len(left) else ("nothing",)
            busbar = right[index] if index < len(right) else ("nothing",)
            if redis == busbar or is_near(name, redis, busbar):
                continue
            place = find_intended(request, redis, busbar)
            if place is None:
                found.append(f"{kind} Redis: {text(redis)!r} Busbar: {text(busbar)!r}")
            else:
                hits.add(place)
    return found


def is_near(name: bytes, redis, busbar) -> bool:
    """Two moments that are near enough."""
    if name not in TIMED or redis[0] != ":" or busbar[0] != ":":
        return False
    left, right = int(redis[1]), int(busbar[1])
    return (left < 0) == (right < 0) and abs(left - right) <= TIMED[name]
