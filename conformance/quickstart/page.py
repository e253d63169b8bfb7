"""Reads docs/quickstart.md into the steps that it tells a user to take.

| in the page                       | step                                                     |
| --------------------------------- | -------------------------------------------------------- |
| fence `X file=NAME`               | write a file                                             |
| fence `sh terminal=NAME`          | type commands that keep running, in a terminal           |
| fence `sh run`                    | type commands and wait for their end                     |
| fence `text` after `sh run`       | what those commands have shown                           |
| fence `text shows=NAME`           | what that terminal shows by and by: these lines, in order|
| comment `<!-- ctrl-c: NAME -->`   | press Ctrl-C there and wait for the end                  |

Other fences are for reading.
"""

import re
from dataclasses import dataclass

_STEP = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$|^<!-- ctrl-c: (?P<stop>\S+) -->$", re.M | re.S)


@dataclass
class Step:
    """One thing to do or to see: kind, the file's or terminal's name, and the text."""

    kind: str  # file, terminal, run, printed, shows, ctrl-c
    name: str
    text: str


def steps(page: str) -> list[Step]:
    """The steps of a page, in order."""
    found = []
    for match in _STEP.finditer(page):
        if match["stop"]:
            found.append(Step("ctrl-c", match["stop"], ""))
            continue
        language, _, rest = match["info"].partition(" ")
        kind, _, name = rest.partition("=")
        if kind in ("file", "terminal", "run", "shows"):
            found.append(Step(kind, name, match["text"]))
        elif language == "text":
            found.append(Step("printed", "", match["text"]))
    return found
