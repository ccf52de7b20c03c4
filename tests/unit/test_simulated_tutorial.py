"""The tutorial without a lab: ``--engine simulator`` in each run, and the same numbers."""

import pytest
from programs import need
from tutorial import (
    RUN,
    Step,
    assert_conclusion,
    assert_printed,
    assert_reads_merge_segments,
    assert_whole_rows,
    done,
)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """Everything that a reader without namespaces does, done once."""
    need("tshark")
    return done(tmp_path_factory.mktemp("reader"), simulated=True)


def test_every_run_is_simulated(steps: list[Step]) -> None:
    """What is compared below comes from the simulator."""
    runs = [step for step in steps if RUN.search(step.commands)]
    assert len(runs) >= 4
    assert all("engine: simulator" in step.printed for step in runs)


def test_what_is_printed(steps: list[Step]) -> None:
    """Writes, segments and verdicts are those that the tutorial shows."""
    assert_printed(steps)
    assert_whole_rows(steps)


def test_reads_end_where_segments_end(steps: list[Step]) -> None:
    """Reads merge segments and split none."""
    assert_reads_merge_segments(steps)


def test_the_conclusion(steps: list[Step]) -> None:
    """The rule that memorised sizes fails wherever the sizes differ; the other rule never fails."""
    assert_conclusion(steps)
