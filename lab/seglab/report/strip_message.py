"""The explanation of one message: what the verdict says, the drawing, and the evidence."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from seglab.classification.scored import ClassifiedMessage
from seglab.core.observation import Observation
from seglab.core.tcpip import full_segment
from seglab.core.text import count, safe
from seglab.report.strip import base_of, in_ascii
from seglab.report.strip_explained import drawing, marks_of

_LEGEND = {
    "▲": "▲ a write ended here, and how likely that is",
    "△": "△ held back by Nagle's algorithm: what follows waited for an acknowledgement",
    "◆": "◆ the header ends",
}


def page(judged: ClassifiedMessage, width: int, *, unicode: bool = True) -> Iterator[str]:
    """The lines of the explanation; only the line of the names may be longer than ``width``."""
    for line in _lines(judged, width):
        text = line.rstrip()
        yield text if unicode else in_ascii(text)


def _lines(judged: ClassifiedMessage, width: int) -> Iterator[str]:
    observation, verdict = judged.observation, judged.verdict
    where = f" of {safe(observation.source)}" if observation.source else ""
    yield f"message {safe(judged.label)}{where}"
    ends = [
        f"{name} {safe(address)}"
        for name, address in (("client", observation.client), ("server", observation.server))
        if address
    ]
    if ends:
        yield from _wrapped(", ".join(ends), width, indent=2)
    yield from _wrapped(_measure(observation), width, indent=2)
    yield ""
    for name, value in _verdict(judged):
        yield from _wrapped(value, width, indent=15, first=f"  {name:<13}")
    yield ""
    yield from drawing(observation, verdict, width)
    yield ""
    symbols = {mark.symbol for mark in marks_of(observation, verdict)}
    for symbol, words in _LEGEND.items():
        if symbol in symbols:
            yield from _wrapped(words, width, indent=4, first="  ")
    if verdict.recut:
        yield from _wrapped(
            "└┘ was one segment, and was cut again when the path's MTU fell", width, 5, "  "
        )
    if observation.push is not None and any(observation.push):
        yield "  ▏ the segment had PSH"
    if observation.holes:
        yield "  ░ a hole: bytes that were not captured"
    yield from _list("why", verdict.evidence, width)
    yield from _list(
        "where the writes of each style would have ended",
        [
            f"{style}: {' '.join(map(str, offsets[:40])) or 'nowhere inside'}"
            + (" ..." if len(offsets) > 40 else "")
            for style, offsets in verdict.witnesses.items()
        ],
        width,
    )
    yield from _list("notes", observation.notes, width)


def _measure(observation: Observation) -> str:
    holes = len(observation.holes)
    sizes = len(observation.sizes) - holes
    unit = observation.layer if sizes != 1 else observation.layer.removesuffix("s")
    if observation.encrypted:
        unit = "pieces" if sizes != 1 else "piece"
    text = f"{observation.total_bytes} bytes in {sizes} {unit}"
    if holes:
        text += f" and {count(holes, 'hole')}"
    if observation.mss is not None:
        text += f"; a full segment has {observation.mss} bytes"
    if observation.timestamps is not None:
        text += f"; TCP timestamps {'on' if observation.timestamps else 'off'}"
    if observation.rtt_ns is not None:
        text += f"; round trip {observation.rtt_ns / 1e6:.3g} ms"
    if observation.encrypted:
        text += "; encrypted"
    if observation.chunked:
        text += "; sent by BDAT"
    if observation.reply is not None:
        text += f"; the server's reply: {observation.reply}"
    if observation.complete is False:
        text += "; cut off before its end"
    return text


def _verdict(judged: ClassifiedMessage) -> Iterator[tuple[str, str]]:
    verdict, score = judged.verdict, judged.score
    if verdict.styles:
        styles = " or ".join(map(safe, verdict.styles))
        confidence = "not given" if verdict.confidence is None else f"{verdict.confidence:.2f}"
        yield "style", f"{styles} (confidence {confidence})"
    elif judged.observation.encrypted:
        yield "style", "none: the session is encrypted"
    else:
        yield "style", "none: the classifier abstains"
    if verdict.buffer is not None:
        yield "buffer", f"{verdict.buffer} bytes"
    yield "terminator", safe(verdict.terminator or "not known")
    yield "path", safe(verdict.path_condition or "not known")
    if verdict.explanations:
        base = base_of(judged.observation, verdict)
        yield "MTU", ", or ".join(_mtu(base, *pair) for pair in verdict.explanations)
    if score is not None:
        parts = ", ".join(f"{name} {value:+g}" for name, value in score.parts.items() if value)
        text = f"{score.total:+g}" + (f" ({parts})" if parts else "")
        if score.low != score.high:
            text += f"; {score.low:+g} to {score.high:+g} over the styles"
        yield "score", text


def _mtu(base: int, mtu: int, timestamps: bool) -> str:
    ipv6 = full_segment(mtu, ip_version=6, timestamps=timestamps) == base
    with_them = "with" if timestamps else "without"
    return f"{mtu} {with_them} timestamps" + (" over IPv6" if ipv6 else "")


def _list(heading: str, lines: Sequence[str], width: int) -> Iterator[str]:
    if lines:
        yield ""
        yield heading
        for text in lines:
            yield from _wrapped(safe(text), width, indent=4, first="  - ")


def _wrapped(text: str, width: int, indent: int = 0, first: str | None = None) -> list[str]:
    return wrap(
        text,
        width,
        initial_indent=" " * indent if first is None else first,
        subsequent_indent=" " * indent,
    )
