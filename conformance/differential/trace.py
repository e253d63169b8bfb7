"""What a server said to each step of the script, as lines that can be compared."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from differential.wire import Method

_GENERATED = re.compile(r"amq\.(gen|ctag)-[A-Za-z0-9_-]{22}")
# Erlang's process id, and a node's name where it is part of a text.
_PID = re.compile(r"<\d*[0-9.]+>")


@dataclass
class Trace:
    """The steps in their order, each with the lines that followed it."""

    steps: list[tuple[str, list[str]]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def step(self, theme: str, text: str) -> None:
        """Begins a step. The same text again gets a number, so that a name means one step."""
        name = f"{theme}: {self.normal(text)}"
        self._seen[name] = self._seen.get(name, 0) + 1
        times = self._seen[name]
        self.steps.append((name if times == 1 else f"{name} ({times})", []))

    def say(self, line: str) -> None:
        """Adds a line to the current step."""
        self.steps[-1][1].append(self.normal(line))

    def normal(self, text: str) -> str:
        """Names that a server makes up get numbers, in the order in which they are first seen."""

        def number(match: re.Match) -> str:
            kind = match[1]
            count = sum(name.startswith(f"<{kind}") for name in self._names.values())
            return self._names.setdefault(match[0], f"<{kind}{count + 1}>")

        return _PID.sub("<pid>", _GENERATED.sub(number, text))


def show(method: Method) -> str:
    """A method as one line: all its arguments, properties and body, with the types of table fields."""
    words = [str(method.channel), method.name]
    words += [f"{name}={_show_argument(name, value)}" for name, value in method.arguments.items()]
    if method.properties is not None:
        words += ["|"] + [f"{name}={show_value(value)}" for name, value in method.properties.items()]
        words += ["|", show_body(method.body)]
    return " ".join(words)


def _show_argument(name: str, value: object) -> str:
    if name == "server-properties":
        # What a server is called is a matter of its configuration; what it can is not.
        fields = [key if kind == "S" else f"{key}: {show_field(kind, of)}" for key, kind, of in sorted(value)]
        return "{" + ", ".join(fields) + "}"
    return show_value(value)


def show_body(body: bytes) -> str:
    """A body, or of a long one its length and both ends."""
    return repr(body) if len(body) <= 64 else f"{len(body)} bytes {body[:8]!r}..{body[-8:]!r}"


def show_value(value: object) -> str:
    """An argument or a property; a table with its fields' types."""
    if isinstance(value, list):
        return "{" + ", ".join(f"{name}: {show_field(kind, item)}" for name, kind, item in value) + "}"
    return repr(value)


def show_field(kind: str, value: object) -> str:
    """A value of a table. What a clock gave is not shown."""
    if kind == "T":
        return "T <time>"
    if kind == "F":
        # Servers build such tables themselves, and their order says nothing.
        return show_value(sorted(value))
    if kind == "A":
        return "[" + ", ".join(show_field(*item) for item in value) + "]"
    return f"{kind} {value!r}"


@dataclass
class Difference:
    """An intended difference: at which step, what RabbitMQ 3.10 says there, what Busbar says, and why."""

    step: str
    rabbitmq: list[str]
    busbar: list[str]
    reason: str


@dataclass
class Rewrite:
    """A difference that comes in many places: what to make of each line of one server before they are compared."""

    server: str
    pattern: str
    replacement: str
    reason: str
    hits: int = 0

    def apply(self, lines: list[str]) -> list[str]:
        """The lines with every match replaced, which are counted."""
        done = [re.subn(self.pattern, self.replacement, line) for line in lines]
        self.hits += sum(count for _, count in done)
        return [line for line, _ in done]


@dataclass
class Intended:
    """The written list of what is meant to be different."""

    steps: list[Difference]
    rewrites: list[Rewrite]

    @classmethod
    def read(cls, path: Path) -> "Intended":
        """Reads the list; each entry has a reason."""
        content = tomllib.loads(path.read_text())
        return cls([Difference(**entry) for entry in content["step"]],
                   [Rewrite(**entry) for entry in content["rewrite"]])

    def rewrite(self, server: str, trace: Trace) -> dict[str, list[str]]:
        """A server's steps, with what may differ everywhere made equal."""
        steps = dict(trace.steps)
        for rule in self.rewrites:
            if rule.server == server:
                steps = {step: rule.apply(lines) for step, lines in steps.items()}
        return steps


def compare(rabbitmq: Trace, busbar: Trace, intended: Intended) -> list[str]:
    """What is different and not intended, and what is intended and not different: one text each."""
    faults, waiting = [], {difference.step: difference for difference in intended.steps}
    theirs, ours = intended.rewrite("rabbitmq", rabbitmq), intended.rewrite("busbar", busbar)
    assert len(waiting) == len(intended.steps), "a step is listed twice"
    for step in dict.fromkeys([*theirs, *ours]):
        difference = waiting.pop(step, None)
        expected = (difference.rabbitmq, difference.busbar) if difference else None
        said = (theirs.get(step), ours.get(step))
        if said == expected or (difference is None and said[0] == said[1]):
            continue
        told = "is listed with other words" if difference else "is not listed"
        faults.append(f"{step}\n  {told}\n" + _told("rabbitmq", said[0]) + _told("busbar", said[1]))
    faults += [f"{step}\n  is listed, but there is no such step" for step in waiting]
    faults += [f"rewriting {rule.pattern!r} hits nothing" for rule in intended.rewrites if rule.hits == 0]
    return faults


def _told(who: str, lines: list[str] | None) -> str:
    return "".join(f"  {who:<8} {line}\n" for line in (["(nothing)"] if not lines else lines))
