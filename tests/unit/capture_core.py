"""A fixture for the tests of captures: the inner loop in both of its forms."""

import pytest

from seglab.capture import backend
from seglab.capture.backend import Core


@pytest.fixture(params=["pure", "compiled"])
def core(request: pytest.FixtureRequest) -> Core:
    """The inner loop, as Python and as compiled."""
    if request.param == "pure":
        return backend.pure()
    compiled = backend.compiled()
    if compiled is None:
        pytest.skip("the inner loop is not compiled here; that takes gcc and Python.h")
    return compiled
