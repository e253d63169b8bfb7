"""The address rules of docs/conversions.md (C-address-1, C-address-4), as the tests believe them."""

_SWAP = str.maketrans("./", "/.")
_FILTER_TO_PATTERN = str.maketrans("./+", "/.*")


def key_of(topic: str) -> str:
    """The AMQP routing key on the bus exchange of an MQTT topic."""
    return topic.translate(_SWAP)


def topic_of(key: str) -> str:
    """The MQTT topic of an AMQP routing key on the bus exchange."""
    return key.translate(_SWAP)


def pattern_of(topic_filter: str) -> str:
    """The AMQP binding key that matches what an MQTT topic filter matches."""
    return topic_filter.translate(_FILTER_TO_PATTERN)
