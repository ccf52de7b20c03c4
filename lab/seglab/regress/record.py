"""A result as plain values, for JSON."""

from typing import Any

import msgspec

from seglab.core.version import version
from seglab.regress.result import RegressResult


def to_dict(result: RegressResult) -> dict[str, Any]:
    """Return everything of a result as dictionaries and lists."""
    return {
        "classifier": result.classifier,
        "good": result.good,
        "headline": result.headline,
        "stopped": result.stopped,
        "sessions": result.sessions,
        "sources": list(result.sources),
        "layers": list(result.layers),
        "seglab": version(),
        "settings": msgspec.to_builtins(result.settings),
        "baseline": result.baselined,
        "checks": [
            {
                "name": outcome.name,
                "summary": outcome.summary,
                "state": outcome.state,
                "judged": outcome.judged,
                "exempt": outcome.exempt,
                "compared_by": dict(outcome.pairings),
                "why_not": outcome.why_not,
                "findings": msgspec.to_builtins(outcome.findings),
            }
            for outcome in result.outcomes
        ],
        "networks": [
            {
                "network": network,
                "layer": layer,
                "mtu": result.mtus[network],
                "accuracy": score.accuracy,
                **msgspec.to_builtins(score),
            }
            for (network, layer), score in result.scores.items()
        ],
        "matrix": [
            {"style": style, "mtu": mtu, **msgspec.to_builtins(cell)}
            for (style, mtu), cell in result.cells.items()
        ],
        "stale_known_failures": msgspec.to_builtins(result.stale),
    }
