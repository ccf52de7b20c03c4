"""A scikit-learn model of a sender's style, trained twice: on raw sizes, and on what they mean.

Both are random forests with the same seed, trained on the same sessions. One sees the first sizes
as they are; the other sees them against the MSS: where a segment ends that is not full, and what
stands there in the message. Their scores on networks that neither has seen tell them apart:

    python examples/scikit_model.py                  # the sessions that come with seglab
    python examples/scikit_model.py data/mine        # a dataset: `seglab dataset build`
    seglab regress examples.scikit_model:meaning --sessions sample
    seglab regress examples.scikit_model:raw --sessions sample
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from sklearn.ensemble import RandomForestClassifier

from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.dataset import records
from seglab.regress.sessions import records as stored

HELD_OUT = ("mtu-576", "ipv6-minimum", "pppoe-clamped", "jumbo")
"""The networks of the sample on which no model is trained."""

SURE = 0.5
"""Below this probability a model abstains."""

Features = Callable[[Observation], list[float]]
Sessions = Iterable[tuple[Observation, str]]


def raw_sizes(observation: Observation) -> list[float]:
    """The first twelve sizes, and how many there are."""
    sizes = observation.sizes[:12]
    return [*sizes, *(0 for _ in range(12 - len(sizes))), len(observation.sizes)]


def meanings(observation: Observation) -> list[float]:
    """What the first boundaries that can be seen are, whatever the MSS."""
    mss = observation.mss or max(observation.sizes)
    again = observation.retransmission or (False,) * len(observation.sizes)
    ends, held = [], 0
    for size, end, resent, next_resent in zip(
        observation.sizes, observation.ends, again, (*again[1:], False), strict=True
    ):
        held += size
        if not (resent and next_resent):  # pieces that came again were one before
            ends += [end] if held % mss and end < observation.total_bytes else []
            held = 0
    header_end = observation.header_end or -1
    field_ends = [field.end for field in observation.fields or ()]
    received = bool(observation.fields) and observation.fields[0].name == "Received"
    first = ends[0] if ends else -1
    gaps = [b - a for a, b in pairwise((0, *ends))]
    times = [t for t, resent in zip(observation.t_ns or (), again, strict=False) if not resent]
    pause_ns = max((b - a for a, b in pairwise(times)), default=0)
    return [
        min(len(ends), 4),
        first in (header_end, header_end + 2),
        first in field_ends[:1],
        first in field_ends[:1] and received,
        first in field_ends[1:],
        0 < first < header_end,
        first > 0 and first % 512 == 0,
        len(gaps) > 1 and len(set(gaps[:3])) == 1,
        observation.total_bytes - ends[-1] in (3, 5) if ends else False,
        pause_ns > 90_000_000,
    ]


@cache
def model(features: Features) -> RandomForestClassifier:
    """The model of the sample's sessions over the networks that are not held out."""
    return trained(features, shown(r for r in stored("sample") if r.network not in HELD_OUT))


def trained(features: Features, sessions: Sessions) -> RandomForestClassifier:
    """A forest, the same for the same sessions."""
    pairs = list(sessions)
    forest = RandomForestClassifier(n_estimators=30, random_state=2014)
    return forest.fit([features(o) for o, _ in pairs], [style for _, style in pairs])


def shown(found: Iterable[SessionRecord]) -> Iterator[tuple[Observation, str]]:
    """What the wire showed of each complete session, and who wrote it."""
    for record in found:
        if record.complete:
            yield Observation.of_record(record, "segments"), record.style


def answer(features: Features, observation: Observation) -> dict[str, object] | None:
    """The likeliest style, or silence; of reads, which merge segments, it has learned nothing."""
    if observation.layer != "segments":
        return None
    forest = model(features)
    shares = forest.predict_proba([features(observation)])[0]
    best = max(range(len(shares)), key=lambda at: shares[at])
    if shares[best] < SURE:
        return None
    return {"style": str(forest.classes_[best]), "confidence": float(shares[best])}


def raw(observation: Observation) -> dict[str, object] | None:
    """The classifier that has seen sizes."""
    return answer(raw_sizes, observation)


def meaning(observation: Observation) -> dict[str, object] | None:
    """The classifier that has seen what the sizes mean."""
    return answer(meanings, observation)


def main() -> None:
    """Print how often each model is right on the networks that it knows, and on the others."""
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        parts = [list(shown(records(path, p, "split_network"))) for p in ("train", "test")]
    else:
        sample = list(stored("sample"))
        parts = [
            list(shown(r for r in sample if (r.network in HELD_OUT) == held))
            for held in (False, True)
        ]
    known, new = parts
    for name, features in (("raw sizes", raw_sizes), ("meanings", meanings)):
        forest = trained(features, known)
        scores = [
            forest.score([features(o) for o, _ in part], [style for _, style in part])
            for part in (known, new)
        ]
        print(
            f"{name:10} known networks {scores[0]:6.1%} of {len(known)},"
            f" held-out networks {scores[1]:6.1%} of {len(new)}"
        )


if __name__ == "__main__":
    main()
