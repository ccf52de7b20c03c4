"""Captures as Scapy packets: the one module that imports Scapy.

Scapy is an extra, ``scapy``, since nothing else in seglab needs it.
"""

from io import BytesIO

from seglab.errors import EnvironmentLacksError, InputError

try:
    import scapy.layers.inet  # the layers that frames of a lab have
    import scapy.layers.inet6
    import scapy.layers.l2  # noqa: F401
    from scapy.error import Scapy_Exception
    from scapy.plist import PacketList
    from scapy.utils import PcapNgReader
except ImportError as error:
    raise EnvironmentLacksError(
        "packets need Scapy, which is not installed; get it by pip install scapy"
    ) from error

__all__ = ["PacketList", "packets"]


def packets(capture: bytes, name: str) -> PacketList:
    """The frames of a capture, in its order.

    Args:
        capture: the content of a pcapng file.
        name: what the list is called, and an error names.

    Raises:
        InputError: Scapy cannot read the capture.
    """
    try:
        with PcapNgReader(BytesIO(capture)) as reader:
            return PacketList(reader.read_all().res, name)
    except (Scapy_Exception, EOFError, ValueError) as error:
        raise InputError(f"{name}: not a capture that Scapy reads: {error}") from error
