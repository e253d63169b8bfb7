#!/usr/bin/env python3
"""Records the transcripts anew against a real Redis: record.py PORT FILE...

Only the lines that clients send are read from a file; what the server answers is written back.
The server must be empty and is emptied; use one that was started for this. The format is
described in ../transcripts.rs.
"""

import re
import socket
import sys

PASSWORD = b"secret"


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(0.06)
    return connection


def received(connection):
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
        return data, True
    except TimeoutError:
        return data, False
    except ConnectionError:
        return data, True


def escape(data):
    plain = {0x0D: "\\r", 0x0A: "\\n", 0x5C: "\\\\"}
    return "".join(
        plain.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data
    )


def unescape(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def prepare(port, password):
    """Empties the server and has it ask for the password, or for none."""
    admin = connect(port)
    admin.sendall(b"AUTH %s\r\n" % PASSWORD)
    admin.sendall(b"FLUSHALL\r\nCONFIG SET requirepass '%s'\r\n" % password)
    received(admin)
    admin.close()


def record(port, path):
    clients, lines, password = {}, [], b""
    for line in open(path, encoding="latin-1").read().splitlines():
        if re.match(r"\w+< ", line):
            continue
        lines.append(line)
        if line == "# with a password":
            password = PASSWORD
        if not line:
            for connection in clients.values():
                connection.close()
            clients = {}
        match = re.match(r"(\w+)([>!]) ?(.*)", line)
        if not match:
            continue
        name, kind, text = match.groups()
        if not clients:
            prepare(port, password)
        if name not in clients:
            clients[name] = connect(port)
        data = text.encode("latin-1") + b"\r\n" if kind == ">" else unescape(text)
        clients[name].sendall(data)
        for name in sorted(clients, key=lambda other: (other != name, other)):
            data, is_closed = received(clients[name])
            shown = re.sub(r"(\$2\\r\\nid\\r\\n:)\d+", r"\1ID", escape(data))
            if shown or is_closed:
                lines.append(f"{name}< {shown}" + ("[closed]" if is_closed else ""))
            if is_closed:
                del clients[name]
    prepare(port, b"")
    with open(path, "w", encoding="latin-1") as file:
        file.write("\n".join(lines) + "\n")


for file in sys.argv[2:]:
    record(int(sys.argv[1]), file)
