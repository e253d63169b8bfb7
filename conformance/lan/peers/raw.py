"""Plain datagrams."""

import datagrams

datagrams.on_order(lambda _, body: datagrams.say(body))
for datagram in datagrams.hear():
    datagrams.heard(None, datagram)
