"""The script: what is done to both servers, theme by theme."""

from differential.script import consuming, dying, exchanges, plugins, policies, protocol, publishing, queues, quorum

THEMES = [
    *queues.THEMES, *exchanges.THEMES, *publishing.THEMES, *consuming.THEMES, *dying.THEMES, *plugins.THEMES,
    *policies.THEMES, *quorum.THEMES, *protocol.THEMES,
]
