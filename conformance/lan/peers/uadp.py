"""OPC UA PubSub by asyncua's codec. A topic is `publisher:group:writer`."""

import datagrams
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.pubsub.uadp import (
    UadpDataSetMessageHeader,
    UadpDataSetVariant,
    UadpGroupHeader,
    UadpHeader,
    UadpNetworkMessage,
)


def say(topic: str, body: bytes) -> None:
    """One Double of a writer."""
    value = UadpDataSetVariant(
        Header=UadpDataSetMessageHeader(SequenceNo=ua.UInt16(1)),
        Data=[ua.Variant(float(body), ua.VariantType.Double)],
    )
    message = UadpNetworkMessage(
        Header=UadpHeader(PublisherId=ua.UInt16(40)),
        GroupHeader=UadpGroupHeader(WriterGroupId=ua.UInt16(3), SequenceNo=ua.UInt16(1)),
        DataSetPayloadHeader=[ua.UInt16(int(topic))],
        Payload=[value],
    )
    datagrams.say(message.to_binary())


datagrams.on_order(say)
for datagram in datagrams.hear():
    message = UadpNetworkMessage.from_binary(Buffer(datagram))
    place = f"{message.Header.PublisherId}:{message.GroupHeader.WriterGroupId}"
    for writer, data in zip(message.DataSetPayloadHeader, message.Payload, strict=True):
        assert data.Header.Timestamp.year >= 2025
        datagrams.heard(f"{place}:{writer}", str(data.Data[0].Value).encode())
