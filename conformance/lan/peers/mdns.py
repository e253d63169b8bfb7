"""Zeroconf's browser: tells which services come and go.

    command line: service type...
"""

import json
import socket
import sys

from zeroconf import IPVersion, ServiceBrowser, Zeroconf

with Zeroconf(ip_version=IPVersion.V4Only) as zeroconf:

    def tell(zeroconf, service_type, name, state_change) -> None:
        """Called by the library."""
        words = {"type": service_type, "name": name, "change": state_change.name}
        info = zeroconf.get_service_info(service_type, name) if state_change.name == "Added" else None
        if info:
            properties = {key.decode(): value and value.decode() for key, value in info.properties.items()}
            addresses = [socket.inet_ntoa(address) for address in info.addresses]
            words |= {"port": info.port, "addresses": addresses, "properties": properties}
        print(json.dumps(words), flush=True)

    browser = ServiceBrowser(zeroconf, sys.argv[1:], handlers=[tell])
    print("ready", flush=True)
    sys.stdin.read()
