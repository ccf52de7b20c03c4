"""Kept schedules on both engines: what fuzzing found once stays mended, on this kernel too."""

import pytest
from fuzz.engines.cases import kept
from fuzz.engines.running import judged


@pytest.mark.timing
def test_engines_agree_about_kept_schedules() -> None:
    """Both engines carry out each kept case, and neither judgement finds a difference.

    Where the machine was too busy for a session, its recording is replayed all the same.
    """
    cases = kept()
    found = judged([case.schedule for case in cases])
    assert len(found) == len(cases) > 0
    differing = {
        case.name: one.text for case, (one, _) in zip(cases, found, strict=True) if one.disagrees
    }
    assert not differing
    assert sum(one.replays for one, _ in found) >= len(cases)
