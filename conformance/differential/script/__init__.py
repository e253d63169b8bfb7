"""The script: what is done to both servers, theme by theme."""

from differential.script import consuming, dying, exchanges, protocol, publishing, queues

THEMES = [
    *queues.THEMES, *exchanges.THEMES, *publishing.THEMES, *consuming.THEMES, *dying.THEMES, *protocol.THEMES,
]
