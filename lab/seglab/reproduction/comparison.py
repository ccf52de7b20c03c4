"""The differences between a run and an earlier one, say of another machine or another kernel.

Pure functions of two summaries and two manifests. Counts also differ by chance. So a difference of
two shares is reported only if Fisher's exact test gives it a probability below ``ALPHA``, and a
difference of two means only if Welch's test does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from seglab.core.labels import SIMULATORS
from seglab.core.text import p_value, percent, spaced
from seglab.reproduction.paper import Sizes
from seglab.reproduction.statistics import fisher_p, welch_p
from seglab.reproduction.stored_summary import (
    StoredScenario,
    StoredSequences,
    StoredSummary,
)
from seglab.runs.manifest import Manifest

ALPHA: Final = 0.01
"""The limit for all sequences of one experiment together (Bonferroni's correction)."""

_SEQUENCES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ChangedSetting:
    """A setting of the environment that differs between the two runs.

    Attributes:
        kind: ``engine``, ``kernel``, ``machine``, ``version``, ``sysctl``, ``offload`` or ``mtu``.
        name: the name of the setting; the setting of a host has the host before it.
        reference: its value in the reference; empty if the reference does not have it.
        here: its value in this run; empty if this run does not have it.
        networks: the number of networks that differ in this way; 0 if the setting belongs to no
            network.
    """

    kind: str
    name: str
    reference: str
    here: str
    networks: int = 0

    def words(self) -> str:
        """The difference in words."""
        what = self.kind if self.name in {"", self.kind} else f"{self.kind} {self.name}"
        where = f" (over {self.networks} networks)" if self.networks > 1 else ""
        return f"{what}: {self.reference or 'absent'} there, {self.here or 'absent'} here{where}"


@dataclass(frozen=True, slots=True)
class ExperimentComparison:
    """One experiment in both runs.

    Attributes:
        name: the name of its scenario.
        reference: whether the reference reproduced it; ``None`` if it was not judged.
        here: whether this run reproduced it; ``None`` if it was not judged.
        shares: the share of the sessions as published, in the reference and here; empty if one
            of the two has none.
        p_values: p of the permutation test against the paper's number of reads, in the reference
            and here; empty if one of the two has none.
        reads: the mean number of reads in a session, in the reference and here; empty if one of
            the two has none.
        reads_p: p of Welch's test of these means; ``None`` if they cannot be tested.
        differences: the differences beyond chance, in words.
    """

    name: str
    reference: bool | None
    here: bool | None
    shares: tuple[float, ...] = ()
    p_values: tuple[float, ...] = ()
    reads: tuple[float, ...] = ()
    reads_p: float | None = None
    differences: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the verdicts differ, or any number differs beyond chance."""
        return self.reference is not self.here or bool(self.differences)

    @property
    def untested(self) -> bool:
        """Whether it has mean numbers of reads that could not be tested."""
        return bool(self.reads) and self.reads_p is None

    def words(self) -> str:
        """The comparison in one line."""
        parts = []
        if self.reference is not self.here:
            parts.append(f"{_verdict(self.reference)} there, {_verdict(self.here)} here")
        if self.shares:
            there, here = self.shares
            parts.append(f"as published in {percent(there)} there, {percent(here)} here")
        if self.reads:
            parts.append("{:.2f} reads a session there, {:.2f} here".format(*self.reads))
        if self.p_values:
            parts.append("{} there, {} here".format(*map(p_value, self.p_values)))
        if self.untested:
            parts.append("means are not tested")
        if self.differences:
            parts.append(f"beyond chance: {', '.join(self.differences)}")
            if self.reference is self.here:
                parts.append("the same verdict")
        else:
            parts.append(f"no {'other ' * self.untested}difference beyond chance")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences between a run and a reference.

    Attributes:
        reference: the reference, in words.
        settings: the settings of the environment that differ.
        experiments: the experiments that both runs have.
        only_there: experiments that only the reference has.
        only_here: experiments that only this run has.
    """

    reference: str
    settings: tuple[ChangedSetting, ...]
    experiments: tuple[ExperimentComparison, ...]
    only_there: tuple[str, ...] = ()
    only_here: tuple[str, ...] = ()

    def headline(self) -> str:
        """The comparison in one line."""
        verdicts = [e.name for e in self.experiments if e.reference is not e.here]
        differing = [e.name for e in self.experiments if e.differences]
        parts = [
            f"another verdict on {', '.join(verdicts)}"
            if verdicts
            else f"the same verdicts on all {len(self.experiments)} experiments in common"
        ]
        if differing:
            parts.append(f"differences beyond chance in {', '.join(differing)}")
        elif any(experiment.untested for experiment in self.experiments):
            parts.append("no difference beyond chance in what is tested")
        else:
            parts.append("no difference beyond chance")
        parts.append(
            f"{len(self.settings)} differences of the environment"
            if self.settings
            else "the same environment"
        )
        return f"Against {self.reference}: {'; '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON data."""
        return {
            "reference": self.reference,
            "headline": self.headline(),
            "settings": [msgspec.to_builtins(s) | {"words": s.words()} for s in self.settings],
            "experiments": [
                msgspec.to_builtins(e) | {"differs": e.differs, "words": e.words()}
                for e in self.experiments
            ],
            "only_there": list(self.only_there),
            "only_here": list(self.only_here),
        }


def compare(
    there: StoredSummary, there_on: Manifest, here: StoredSummary, here_on: Manifest
) -> Comparison:
    """Compare a run (``here``) with an earlier one (``there``)."""
    before = {experiment.name: experiment for experiment in there.scenarios}
    now = {experiment.name: experiment for experiment in here.scenarios}
    return Comparison(
        reference=f"the run of {there_on.started[:10]} on {_ground(there_on)}",
        settings=tuple(changed_settings(there_on, here_on)),
        experiments=tuple(_experiment(before[name], now[name]) for name in now if name in before),
        only_there=tuple(name for name in before if name not in now),
        only_here=tuple(name for name in now if name not in before),
    )


def changed_settings(there: Manifest, here: Manifest) -> Iterator[ChangedSetting]:
    """Yield the settings of the environment that differ between two runs.

    A simulated run used no kernel, so its machine's is no setting of it.
    """
    kernels = ["" if run.engine in SIMULATORS else run.kernel for run in (there, here)]
    for kind, before, now in (
        ("engine", there.engine, here.engine),
        ("kernel", *kernels),
        ("machine", there.machine, here.machine),
    ):
        if before != now:
            yield ChangedSetting(kind, "", before, now)
    for name in sorted({*there.versions, *here.versions}):
        before, now = there.versions.get(name, ""), here.versions.get(name, "")
        if before != now:
            yield ChangedSetting("version", name, before, now)
    for kind, before_all, now_all in (
        ("sysctl", there.sysctls, here.sysctls),
        ("offload", there.offloads, here.offloads),
        ("mtu", there.mtus, here.mtus),
    ):
        networks: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for network in before_all:
            if network in now_all:
                before_flat = dict(_flat(before_all[network]))
                now_flat = dict(_flat(now_all[network]))
                for name in {*before_flat, *now_flat}:
                    before, now = before_flat.get(name, ""), now_flat.get(name, "")
                    if before != now:
                        networks[name, before, now].add(network)
        for (name, before, now), where in sorted(networks.items()):
            yield ChangedSetting(kind, name, before, now, len(where))


def _ground(run: Manifest) -> str:
    return f"the {run.engine}" if run.engine in SIMULATORS else f"kernel {run.kernel}"


def _flat(values: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """The values of nested mappings with their paths, such as ``client net.ipv4.tcp_sack``."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _flat(value, (*path, str(name)))
    else:
        yield " ".join(path), str(values)


def _experiment(there: StoredScenario, here: StoredScenario) -> ExperimentComparison:
    shares = tuple(_share(one) for one in (there, here))
    reads = tuple(one.verdict.read_counts for one in (there, here) if one.verdict)
    means = tuple(r.lab_mean for r in reads if r and r.lab_mean is not None)
    p_values = tuple(r.p for r in reads if r and r.p is not None)
    reads_p = _means_p(there.sequences, here.sequences) if len(means) == 2 else None
    return ExperimentComparison(
        name=there.name,
        reference=there.reproduced,
        here=here.reproduced,
        shares=tuple(s for s in shares if s is not None) if None not in shares else (),
        p_values=p_values if len(p_values) == 2 else (),
        reads=means if len(means) == 2 else (),
        reads_p=reads_p,
        differences=(
            *_media(there, here),
            *_other_means(reads_p),
            *_other_shares(there, here),
            *_sequences(there, here),
        ),
    )


def _share(experiment: StoredScenario) -> float | None:
    seen = experiment.seen
    if seen is None or seen.matching is None or not seen.sessions:
        return None
    return seen.matching / seen.sessions


def _other_means(p: float | None) -> Iterator[str]:
    """The words for a mean number of reads that differs beyond chance."""
    if p is not None and p < ALPHA:
        yield f"another mean of reads a session ({p_value(p)}; it drifts with the machine's load)"


def _means_p(there: StoredSequences, here: StoredSequences) -> float | None:
    """Welch's test, two-sided, of the mean number of reads a session.

    Returns:
        ``None`` if the sequences of some sessions are not stored, or a run has fewer than two
        sessions.
    """
    before, now = _read_counts(there), _read_counts(here)
    if before is None or now is None or min(len(before), len(now)) < 2:
        return None
    if len({*before}) == len({*now}) == 1:  # no spread to measure the difference by
        return 1.0 if before[0] == now[0] else fisher_p((len(before),) * 2, (0, len(now)))
    return welch_p(before, now)


def _read_counts(sequences: StoredSequences) -> list[int] | None:
    """The number of reads of every session; ``None`` if some sequences are not stored."""
    found = [len(sizes) for sizes, times in _counts(sequences).items() for _ in range(times)]
    return found if len(found) == sequences.lab_sessions else None


def _other_shares(there: StoredScenario, here: StoredScenario) -> Iterator[str]:
    """The words for a listing's share of sessions as published that differs beyond chance."""
    before, now = there.seen, here.seen
    if before is None or now is None or before.matching is None or now.matching is None:
        return
    p = fisher_p((before.matching, before.sessions), (now.matching, now.sessions))
    if p < ALPHA:
        yield f"another share of sessions as published ({p_value(p)})"


def _media(there: StoredScenario, here: StoredScenario) -> Iterator[str]:
    """The words for each medium of Table 1 whose largest segments differ."""
    before = {(m.name, m.timestamps): m.largest for m in there.seen.media} if there.seen else {}
    for medium in here.seen.media if here.seen else ():
        largest = before.get((medium.name, medium.timestamps))
        if largest is not None and largest != medium.largest:
            options = "with timestamps" if medium.timestamps else "without timestamps"
            yield (
                f"{medium.name} {options}: segments of {spaced(largest) or 'none'} there,"
                f" {spaced(medium.largest) or 'none'} here"
            )


def _sequences(there: StoredScenario, here: StoredScenario) -> Iterator[str]:
    """The words for the sequences whose shares differ most, among those beyond chance."""
    before, now = _counts(there.sequences), _counts(here.sequences)
    totals = there.sequences.lab_sessions, here.sequences.lab_sessions
    if not all(totals):
        return
    names = before.keys() | now.keys()
    found = []
    for sequence in names:
        counts = before.get(sequence, 0), now.get(sequence, 0)
        p = fisher_p((counts[0], totals[0]), (counts[1], totals[1]))
        if p * len(names) < ALPHA:
            found.append((p, sequence, counts))
    for _, sequence, (first, second) in sorted(found)[:_SEQUENCES_SHOWN]:
        yield (
            f"{_short(sequence)} in {percent(first, totals[0])} there,"
            f" {percent(second, totals[1])} here"
        )
    if len(found) > _SEQUENCES_SHOWN:
        yield f"and {len(found) - _SEQUENCES_SHOWN} more sequences with another share"


def _counts(sequences: StoredSequences) -> dict[Sizes, int]:
    return {item.sizes: item.lab for item in (*sequences.printed, *sequences.others)}


def _short(sequence: Iterable[int]) -> str:
    sizes = tuple(sequence)
    return spaced(sizes, 12)


def _verdict(reproduced: bool | None) -> str:
    return {True: "reproduced", False: "not reproduced", None: "not judged"}[reproduced]
