"""The policies that both servers have, once as RabbitMQ's definitions and once as Busbar's configuration."""

import base64
import hashlib
import json

# Name, what it is for, pattern, definition.
POLICIES = [
    ("ttl", "queues", "^pol-ttl", {"message-ttl": 200, "dead-letter-exchange": "",
                                   "dead-letter-routing-key": "pol-graves"}),
    ("max", "queues", "^pol-max", {"max-length": 2, "overflow": "reject-publish"}),
    ("expires", "queues", "^pol-expires", {"expires": 500}),
    ("alternate", "exchanges", "^pol-first", {"alternate-exchange": "amq.fanout"}),
]
OPERATOR_POLICIES = [("limit", "queues", "^op-", {"max-length": 3})]


def definitions() -> str:
    """What RabbitMQ loads at its start. With definitions it makes no user of its own."""
    salt = b"salt"
    password = base64.b64encode(salt + hashlib.sha256(salt + b"guest").digest()).decode()
    rights = {"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps({
        "vhosts": [{"name": "/"}],
        "users": [{"name": "guest", "password_hash": password, "tags": "administrator",
                   "hashing_algorithm": "rabbit_password_hashing_sha256"}],
        "permissions": [rights],
        "policies": [{"vhost": "/", "name": name, "apply-to": kind, "pattern": pattern, "priority": 0,
                      "definition": definition} for name, kind, pattern, definition in POLICIES],
        "parameters": [{"vhost": "/", "component": "operator_policy", "name": name,
                        "value": {"apply-to": kind, "pattern": pattern, "priority": 0, "definition": definition}}
                       for name, kind, pattern, definition in OPERATOR_POLICIES],
    })


def config() -> str:
    """What Busbar reads."""
    return "\n".join([*_tables("policies", POLICIES), *_tables("operator_policies", OPERATOR_POLICIES)])


def _tables(key: str, policies: list) -> list[str]:
    tables = []
    for name, kind, pattern, definition in policies:
        terms = ", ".join(f"{term} = {json.dumps(value)}" for term, value in definition.items())
        tables.append(f'[[{key}]]\nname = "{name}"\napply_to = "{kind}"\npattern = "{pattern}"\n'
                      f"definition = {{ {terms} }}\n")
    return tables
