"""A cluster that the tests of this folder share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A scheduler with two workers; a test that ends one has a cluster of its own."""
    from clusters import processes  # noqa: PLC0415 -- Dask may not be here

    with processes(tmp_path_factory.mktemp("cluster") / "shared", "one", "two") as found:
        yield found
