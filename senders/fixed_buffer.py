"""The 2048 writer: output through a buffer of fixed size, emptied whenever it is full."""

from collections.abc import Iterable

from seglab.sender import Integer, Message, Parameters, Sender, in_writes, smtp_parameters


def cuts(message: Message, parameters: Parameters) -> Iterable[int]:
    """Whenever the buffer is full."""
    size = parameters["buffer_bytes"]
    return range(size, len(message.wire), size)


SENDER = Sender(
    name="fixed_buffer",
    summary="a program that writes through a buffer of fixed size (the '2048' fan club)",
    source="VB2014, Listing 12",
    style="fixed_buffer",
    parameters={
        "buffer_bytes": Integer(2048, 1, 1 << 20, "the size of the buffer"),
        **smtp_parameters(nodelay=True),
    },
    steps=in_writes(cuts),
)
