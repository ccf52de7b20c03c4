"""Why a verdict is what it is, in words for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from seglab.core.observation import Observation
from seglab.inference.path import OVERHEADS_V6, Path, mtu_explanations
from seglab.inference.posterior import Explanation

_LISTED_MAX = 8


def explained_mtus(observation: Observation, best: Explanation) -> tuple[tuple[int, bool], ...]:
    """Pairs (MTU, timestamps) that give the observation's full segments."""
    ipv6 = None if observation.client is None else observation.client.startswith("[")
    return mtu_explanations(best.path.base, observation.timestamps, ipv6)


def evidence(
    observation: Observation,
    found: Sequence[Explanation],
    styles: Sequence[str],
    likely: Mapping[int, float],
    terminator: str | None,
    held: Sequence[int],
) -> tuple[str, ...]:
    """The lines of evidence: the path, the writer, boundaries, the end of data.

    Args:
        observation: what was seen.
        found: the explanations, the best first.
        styles: those of the verdict.
        likely: probability by boundary.
        terminator: of the verdict.
        held: where segments waited for an acknowledgement.
    """
    best = next(one for one in found if one.writer.style == styles[0])
    return (
        *_path_words(observation, best),
        *_writer_words(found, styles),
        *_boundary_words(observation, best.path, likely),
        *_terminator_words(observation, best, terminator),
        *(
            f"{start}:{observation.total_bytes} came a round trip later: Nagle's algorithm held it "
            "back until what was before it was acknowledged"
            for start in held
        ),
    )


def _path_words(observation: Observation, best: Explanation) -> Iterator[str]:
    path = best.path
    pairs = explained_mtus(observation, best)
    mtus = " or ".join(_mtu_words(path.base, mtu, on) for mtu, on in pairs)
    fits = f": {mtus}" if mtus else ""
    if observation.total_bytes < path.base:
        yield f"no segment is full: the message is shorter than {path.base} bytes"
    else:
        known = "" if observation.mss is None else ", the connection's MSS"
        yield f"full segments have {path.base} bytes{known}{fits}"
    if best.before:
        said = "" if observation.begins_at is not None else ", as it would then be full"
        yield f"the first segment began {best.before} bytes before the message{said}"
    if path.fell:
        lower = " and ".join(str(level) for level in path.levels[1:])
        again = ", and rose again" if path.rises else ""
        yield f"the path's MTU fell: segments of {lower} bytes{again}"
    if best.explained.resegmented:
        spans = _listed(f"{start}:{end}" for start, end in best.explained.resegmented)
        yield f"one segment each before it was cut again: {spans}"


def _mtu_words(base: int, mtu: int, timestamps: bool) -> str:
    over = " over IPv6" if (mtu - base, timestamps) in OVERHEADS_V6 else ""
    return f"MTU {mtu} {'with' if timestamps else 'without'} timestamps{over}"


def _writer_words(found: Sequence[Explanation], styles: Sequence[str]) -> Iterator[str]:
    for style in styles:
        one = next(account for account in found if account.writer.style == style)
        share = sum(account.weight for account in found if account.writer.style == style)
        yield f"{style} ({share:.2f}): {one.writer.words}"
    if len(styles) > 1:
        yield "the sizes do not tell these styles apart"


def _boundary_words(
    observation: Observation, path: Path, likely: Mapping[int, float]
) -> Iterator[str]:
    ends = {*observation.ends}
    seen = [end for end in likely if end in ends]
    inside = [end for end in likely if end not in ends]
    unit = "segment" if observation.layer == "segments" else "read"
    if seen:
        short = f"a {unit} ends there short of {path.base} bytes, or with a write's PSH"
        yield f"writes end at {_listed(map(str, seen))}: {short}"
    if inside:
        yield (
            f"writes end at {_listed(map(str, inside))} as well, inside a {unit}: "
            "what comes before and after them fits no other way"
        )


def _terminator_words(
    observation: Observation, best: Explanation, terminator: str | None
) -> Iterator[str]:
    last = observation.sizes[-1]
    if terminator == "own_write":
        size = best.writer.terminator_bytes or last
        yield f"the end of data ({size} bytes) has a write of its own"
    elif terminator is None and observation.complete is not False:
        yield "whether the end of data had a write of its own left no trace"


def _listed(words: Iterable[str]) -> str:
    shown = list(words)
    more = len(shown) - _LISTED_MAX
    return " ".join(shown[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")
