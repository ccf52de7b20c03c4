"""The store with every named program that can be had here: made once, and kept between runs."""

import pytest

from seglab.kernel.program.tracing import problem
from seglab.software.installing import Outcome, install
from seglab.software.program import programs
from seglab.software.store import Store


@pytest.fixture(scope="session")
def outcomes() -> dict[str, Outcome]:
    """What became of the installation of each program, in the user's own cache."""
    if reason := problem():
        pytest.skip(reason)
    found = install(programs().values(), Store.usual(), print)
    return {outcome.name: outcome for outcome in found}
