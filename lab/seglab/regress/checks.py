"""All checks, in the order in which they run."""

from collections.abc import Sequence

from seglab.core.lookup import named
from seglab.regress import labels, scores, stability, validity
from seglab.regress.judgement import Check

CHECKS: tuple[Check, ...] = (
    Check("answers", "answers or abstains, and never raises", validity.answers),
    Check(
        "valid_verdicts",
        "known styles, terminators and path conditions, and offsets inside the message",
        validity.valid_verdicts,
    ),
    Check(
        "label_ignores_mtu",
        "the same message with the same boundaries visible has no other style on another network",
        labels.label_ignores_mtu,
    ),
    Check(
        "terminator_ignores_mtu",
        "the same, for the terminator",
        labels.terminator_ignores_mtu,
    ),
    Check(
        "answers_ignore_mtu",
        "the same message with the same boundaries and nothing else visible: no silence on one"
        " network after an answer on another",
        labels.answers_ignore_mtu,
    ),
    Check(
        "accuracy",
        "on each network, where it answers, right at least as often as one constant answer",
        scores.accuracy,
    ),
    Check(
        "no_network_falls",
        "no network's accuracy falls below the baseline, or without one, far below the mean",
        scores.no_network_falls,
    ),
    Check(
        "stable_under_merged_reads",
        "merged reads give more styles or none, but no other",
        stability.stable_under_merged_reads,
        asks=True,
    ),
    Check(
        "stable_under_retransmission",
        "a segment that comes again, a full one in two pieces, gives no other style",
        stability.stable_under_retransmission,
        asks=True,
    ),
    Check(
        "stable_under_offload",
        "full segments that offload merged into one give no other style",
        stability.stable_under_offload,
        asks=True,
    ),
    Check(
        "abstains_on_noise",
        "random sizes get no single style with confidence",
        stability.abstains_on_noise,
        asks=True,
    ),
    Check(
        "deterministic",
        "the same verdict when asked again, from the start, in another order",
        stability.deterministic,
        asks=True,
    ),
)


def chosen(names: Sequence[str]) -> tuple[Check, ...]:
    """Return the checks of these names, in the order of ``CHECKS``; without names, all of them.

    Raises:
        InputError: there is no check of that name; the message has the nearest one.
    """
    known = {check.name: check for check in CHECKS}
    for name in names:
        named("check", name, known)
    return tuple(check for check in CHECKS if not names or check.name in names)
