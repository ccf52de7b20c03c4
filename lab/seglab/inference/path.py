"""What the path did to the segments: how large a full one was, and whether that changed.

A path is a base (the MSS of the connection) and levels: smaller full segments, while the path's
MTU was lower. Each path has a price in bits. What the path explains, no write has to explain.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final

from seglab.core.tcpip import IPV6_MTU_MIN_BYTES, full_segment, headers_bytes
from seglab.inference.units import Unit

KNOWN_MTUS: Final = (
    576, 1006, 1280, 1300, 1400, 1420, 1440, 1450, 1452, 1454, 1460, 1480, 1492, 1500,
    4352, 4464, 9000, 17914,
)  # fmt: skip
"""Media, tunnels and DSL: Table 1 of VB2014, p0f's labels, RFC 791, 1055 and 8200."""

OVERHEADS: Final = tuple((headers_bytes(timestamps=on), on) for on in (False, True))
"""What the headers of IPv4 and TCP take of an MTU, without timestamps and with them."""

OVERHEADS_V6: Final = tuple(
    (headers_bytes(ip_version=6, timestamps=on), on) for on in (False, True)
)
"""What the headers of IPv6 and TCP take of an MTU, without timestamps and with them."""

LARGE_MSS: Final = 32768
"""Above this MSS, as over loopback, the peer's window bounds segments before the MSS does."""

LARGE_SEGMENT: Final = 16384
"""Above ``LARGE_MSS``, a segment of this size or more need not end with a write."""

READER_BUFFER: Final = 65536
"""The buffer that Node.js and the lab's server hand to ``recv``."""

LEVEL_MIN: Final = full_segment(296, timestamps=True)
"""The smallest full segment that a path falls to: at an MTU of 296 (RFC 1191, 7.1).

Smaller sizes that occur often are lines of text, many of which are alike.
"""

SMALL_MTU: Final = IPV6_MTU_MIN_BYTES
"""A link counts as small below the smallest MTU of IPv6 (RFC 8200, 5)."""

_KNOWN = frozenset(mtu - overhead for mtu in KNOWN_MTUS for overhead, _ in OVERHEADS)
_KNOWN_BITS = 3.0
_ANY_BASE_BITS = 11.0
_LEVEL_BITS = 5.0
_CHANGE_BITS = 6.0
_TUNNEL_BITS = 8.0
_PROBED_BITS = 6.0  # Linux searches only with tcp_mtu_probing on
_NOTHING_RESENT_BITS = 6.0  # a fall costs a packet, unless it was before the message
_SHORT_BITS = 7.0
_PIECES_MAX = 10
_MULTIPLES_MAX = 46
PEER_WINDOW = 65_535
"""The window that Linux offers at first, before it is rounded down to whole segments."""

_BASES_MAX = 4
_LEVELS_MAX = 3
_LEVEL_CANDIDATES_MAX = 6
_SINGLE_LEVELS_MAX = 2
_BACK_READS = 2
_READ_LEVELS_TRIED = 8
_READ_LEVELS_MAX = 2
_PROBED = frozenset({512, 536, 1024})
_USUAL_FALLS = frozenset({20, 24, 28, 32, 40, 48, 50, 60, 72, 80, 100, 120})  # tunnels' headers


@dataclass(frozen=True)
class Path:
    """One way to explain which segments were full.

    Attributes:
        base: bytes of a full segment when the connection began.
        levels: bytes of a full segment at any time, the base among them, the largest first.
        bits: the price of this path.
        falls: how often full segments became smaller.
        rises: how often they became larger again.
    """

    base: int
    levels: tuple[int, ...]
    bits: float
    falls: int = 0
    rises: int = 0

    def resegmented(self, end: int, anchor: int) -> bool:
        """Whether the rest of a segment that was cut again may end at ``end``.

        Linux cuts what it had sent into segments of the new size and a rest (tcp_fragment). So the
        rest ends where a segment of the old size did, which may itself be a level. Full segments
        count from ``anchor``.
        """
        return self.fell and (end - anchor) % self.base in self._rests

    def within_resegmented(self, end: int, anchor: int) -> bool:
        """Whether segments of the base, and then of a level, lead from ``anchor`` to ``end``."""
        return (end - anchor) % self.base in self._residues

    @cached_property
    def fell(self) -> bool:
        """Whether full segments were ever smaller than the base."""
        return len(self.levels) > 1

    @cached_property
    def reaching(self) -> frozenset[int]:
        """The distances, modulo the base, at which whole segments of any level may end."""
        return self._residues | {0}

    @cached_property
    def _residues(self) -> frozenset[int]:
        """The distances, modulo the base, at which pieces of a lower level end."""
        return _pieces(self.levels[1:], self.base)

    @cached_property
    def _rests(self) -> frozenset[int]:
        """The distances, modulo the base, at which a segment ended that may have been cut again."""
        return _pieces(self.levels[1:-1], self.base) | {0}

    def is_rest(self, unit: Unit) -> bool:
        """Whether a unit looks like the rest of a segment that the path cut again."""
        return self.fell and _looks_like_rest(unit, self.levels[1])

    def may_bound(self, unit: Unit) -> bool:
        """Whether a window or the buffer of the reader may have ended this unit, and no write."""
        if unit.coalesced:
            return unit.size == READER_BUFFER
        return self.base > LARGE_MSS and unit.size >= LARGE_SEGMENT

    def may_fill_window(self, unit: Unit) -> bool:
        """Whether the peer's window may have ended within a segment, where this short one ends.

        Without a short segment before it, Linux sends what the window still holds of the next one
        (tcp_mss_split_point). No receiver of its kind offers less than 64 KiB at first, rounded
        down to whole segments (tcp_select_initial_window), and none offers less than one of them.
        """
        return not unit.coalesced and unit.end > max(PEER_WINDOW - self.base, self.base)

    @property
    def condition(self) -> str:
        """The path condition, in the words of the ground truth."""
        if self.rises:
            return "fluctuating"
        if self.fell:
            return "pmtu_fall"
        return (
            "small_mss" if self.base + OVERHEADS[0][0] < SMALL_MTU - OVERHEADS[1][0] else "steady"
        )


def _pieces(levels: Sequence[int], base: int) -> frozenset[int]:
    return frozenset(
        pieces * level % base for level in levels for pieces in range(1, _PIECES_MAX + 1)
    )


def mtu_explanations(
    base: int, timestamps: bool | None, ipv6: bool | None
) -> tuple[tuple[int, bool], ...]:
    """Pairs (MTU, timestamps) that give full segments of ``base`` bytes.

    IPv6 is among them where it is known to be used, or where the MTU would be a known one.
    """
    found = [] if ipv6 else [(base + overhead, on) for overhead, on in OVERHEADS]
    if ipv6 is not False:
        for overhead, on in OVERHEADS_V6:
            if ipv6 or (base + overhead) in KNOWN_MTUS:
                found.append((base + overhead, on))
    return tuple(dict.fromkeys(p for p in found if timestamps is None or p[1] == timestamps))


def paths(units: Sequence[Unit], mss: int | None, *, reads: bool) -> tuple[Path, ...]:
    """The paths that are worth a look. For each base, the one without any change comes first."""
    bases = [(mss, 0.0)] if mss is not None else list(_bases(units))
    found = []
    for base, bits in bases:
        found.append(Path(base, (base,), bits))
        levels = _read_levels(units, base) if reads else _levels_with_evidence(units, base)
        found += [_path_with_levels(units, base, chosen, bits, reads=reads) for chosen in levels]
    return tuple(found)


def _bases(units: Sequence[Unit]) -> Iterator[tuple[int, float]]:
    """Candidates for the MSS where it is not known, each with its price."""
    sizes = [unit.size for unit in units if not unit.hole] or [unit.size for unit in units]
    counts = Counter(sizes)
    largest = max(sizes)
    candidates = {size for size, count in counts.items() if count > 1 and size >= 64}
    for size in list(counts)[:64]:
        for times in range(1, _MULTIPLES_MAX + 1):
            part, rest = divmod(size, times)
            if not rest and part in _KNOWN:
                candidates.add(part)
    candidates |= {1448, 1460}

    def promise(base: int) -> tuple[float, int]:
        full = sum(count for size, count in counts.items() if size % base == 0)
        above = 0 if largest >= base else 1
        return (full - (2 if base not in _KNOWN else 0) - above, base)

    for base in sorted(candidates, key=promise, reverse=True)[:_BASES_MAX]:
        yield base, _KNOWN_BITS if base in _KNOWN else _ANY_BASE_BITS


def _levels_with_evidence(units: Sequence[Unit], base: int) -> Iterator[tuple[int, ...]]:
    """Sets of lower levels of which there is more than their size.

    When a path's MTU falls, the router drops what is too large. So something was sent again, or the
    rest of a segment that was cut again shows. A size that only repeats is a buffer's.
    """
    again = any(unit.retransmitted for unit in units)
    for lower in _segment_levels(units, base):
        if again or _was_cut(units, base, lower):
            yield lower


def _was_cut(units: Sequence[Unit], base: int, lower: Sequence[int]) -> bool:
    """Whether pieces of a lower level and a rest end where a full segment ended."""
    anchor = units[0].start
    pieces = False
    for unit in units[:-1]:
        if not unit.hole and unit.size in lower:
            pieces = True
        elif not unit.hole and unit.size == base:
            pieces = False
        elif pieces and not unit.hole and (unit.end - anchor) % base == 0:
            return True
        else:
            anchor = unit.end
            pieces = False
    return False


def _segment_levels(units: Sequence[Unit], base: int) -> Iterator[tuple[int, ...]]:
    """Sets of lower levels: the best single levels, and the sets that grow from the best one."""
    bound = LARGE_SEGMENT if base > LARGE_MSS else base
    seen = [unit for unit in units[:-1] if not unit.coalesced and not unit.hole]
    lower = [unit for unit in seen if LEVEL_MIN <= unit.size < bound]
    counts = Counter(unit.size for unit in lower)
    again = {
        u.size
        for u, v in pairwise(units)
        if u.retransmitted and v.retransmitted and u.size in counts
    }
    candidates = [size for size, count in counts.most_common(32) if count > 1 or size in again]
    candidates = candidates[:_LEVEL_CANDIDATES_MAX]
    ranked: list[tuple[float, tuple[int, ...]]]
    ranked = sorted((_path_cost(units, base, (level,)), (level,)) for level in candidates)
    yield from (chosen for _, chosen in ranked[:_SINGLE_LEVELS_MAX])
    while ranked and len(ranked[0][1]) < _LEVELS_MAX:
        cost, chosen = ranked[0]
        ranked = sorted(
            (_path_cost(units, base, (*chosen, level)), (*chosen, level))
            for level in candidates
            if level not in chosen
        )
        if not ranked or ranked[0][0] >= cost:
            return
        yield ranked[0][1]


def _read_levels(units: Sequence[Unit], base: int) -> Iterator[tuple[int, ...]]:
    """Lower levels that would explain the sizes of the reads, each level by itself.

    A read that ends within a segment that was cut again holds whole segments of the base and some
    of the level. The next read holds what is left. So modulo the base, sizes are multiples of the
    level, or the base less such multiples.
    """
    odd = [unit.size for unit in units[:-1] if unit.size % base]
    candidates = Counter(size % base for size in odd if 3 * (size % base) >= base)
    for size in odd:
        for level in (size, base - size):
            if 0 < 3 * level >= base and level < base and _is_usual_fall(base, level):
                candidates[level] += 2
        if base - size % base in candidates:
            candidates[base - size % base] += 1
    for level in (base - fall for fall in sorted(_USUAL_FALLS)):
        votes = sum(size % base in _read_residues(level, base) for size in odd)
        if votes > 1 and level < base <= 3 * level:
            candidates[level] += votes
    found = []
    for level, votes in candidates.most_common(_READ_LEVELS_TRIED):
        explained = sum(size % base in _read_residues(level, base) for size in odd)
        found.append((explained, votes, level))
    for explained, _, level in sorted(found, reverse=True)[:_READ_LEVELS_MAX]:
        if explained > 1 or (explained and _is_usual_fall(base, level)):
            yield (level,)


@lru_cache(maxsize=256)
def _read_residues(level: int, base: int) -> frozenset[int]:
    """The sizes, modulo the base, of reads that begin or end within a segment cut again."""
    return frozenset(
        sign * pieces * level % base for pieces in range(1, _PIECES_MAX) for sign in (1, -1)
    )


def _path_cost(units: Sequence[Unit], base: int, lower: tuple[int, ...]) -> float:
    """Bits for the levels, the changes, and the short segments that writes then have to explain."""
    levels = {base, *lower}
    bits = _LEVEL_BITS * len(lower)
    level = base
    anchor = units[0].start
    for unit in units[:-1]:
        if unit.coalesced:
            continue
        if unit.hole:
            anchor = unit.end
            continue
        if unit.size in levels:
            if unit.size != level:
                bits += _CHANGE_BITS
                level = unit.size
        elif lower and ((unit.end - anchor) % base == 0 or _looks_like_rest(unit, min(lower))):
            bits += 0.0 if unit.retransmitted else 1.0
        else:
            bits += _SHORT_BITS
            anchor = unit.end
    return bits


def _looks_like_rest(unit: Unit, level: int) -> bool:
    """Whether a unit may be such a rest at ``level``: sent again, without PSH, and short."""
    return unit.retransmitted and not unit.push and unit.size < level


def _is_usual_fall(base: int, level: int) -> bool:
    """Whether the headers of a tunnel, or Linux's search for the MTU, would give this level."""
    return base - level in _USUAL_FALLS or level in _PROBED


def _path_with_levels(
    units: Sequence[Unit], base: int, lower: tuple[int, ...], bits: float, *, reads: bool
) -> Path:
    """The path with these levels, with its changes between them and its whole price."""
    levels = tuple(sorted({base, *lower}, reverse=True))
    falls, rises = _read_changes(units, base, lower) if reads else _changes(units, levels)
    total = bits + _LEVEL_BITS * len(lower) + _CHANGE_BITS * (falls + rises)
    if not any(unit.retransmitted for unit in units):
        total += _NOTHING_RESENT_BITS * (1 + (1 if reads else 2) * bool(rises))
    if reads and lower[0] in _PROBED:
        total -= _PROBED_BITS
    elif reads and _is_usual_fall(base, lower[0]):
        total -= _TUNNEL_BITS
    return Path(base, levels, total, falls, rises)


def _changes(units: Sequence[Unit], levels: Sequence[int]) -> tuple[int, int]:
    """How often full segments became smaller, and how often they became larger."""
    level = levels[0]
    falls = rises = 0
    for unit in units:
        size = unit.size
        if size in levels and size != level and not unit.hole:
            falls += size < level
            rises += size > level
            level = size
    return falls, rises


def _read_changes(units: Sequence[Unit], base: int, lower: tuple[int, ...]) -> tuple[int, int]:
    """Falls and rises in reads: one fall, and one rise if full segments of the base came back."""
    sizes = [unit.size for unit in units]
    fell = next((place for place, size in enumerate(sizes) if size in lower), len(sizes))
    back = sum(size == base for size in sizes[fell:])
    return 1, int(back >= _BACK_READS)
