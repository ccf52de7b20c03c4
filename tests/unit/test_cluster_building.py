"""Building on a cluster, with one that is a list of what comes back."""

import pytest
from dataset_making import ENGINE, PureEngine, spec_of

from seglab.cluster.building import ShardsFailedError, build_on, refuse_unfit
from seglab.cluster.dask import Failed
from seglab.cluster.shards import BuildRequest, build_archive
from seglab.commands.progress import RunProgress
from seglab.dataset.estimate import estimate
from seglab.dataset.folder import begin, built, finish
from seglab.dataset.plan import fingerprint
from seglab.errors import InputError
from seglab.execution.interruption import Interruption

SEED = 3


class Listed:
    """Stands for a cluster: does the jobs here, but for those that are to fail."""

    address = "tcp://far:8786"

    def __init__(self, scratch, fails=()):
        self.scratch = scratch
        self.fails = fails
        self.says = {"tcp://one:1": fingerprint(spec_of(), SEED)}
        self.told = []

    def each(self, function, jobs, tick):
        """Each job's result."""
        for name, arguments in jobs:
            tick()
            folder = self.scratch / name
            folder.mkdir(parents=True)
            yield name, Failed("no luck") if name in self.fails else function(folder, *arguments)

    def everywhere(self, function, *arguments):
        """What the workers say."""
        self.told.append((function.__name__, *arguments))
        return self.says


@pytest.fixture(autouse=True)
def pure():
    """Let no test see what another one wanted of the engine."""
    PureEngine.reset()


def request():
    """What asks for the small dataset."""
    spec = spec_of()
    return BuildRequest(spec.text, spec.where, SEED, 40, "me", ENGINE)


def build(out, cluster, shards=range(3), interruption=None):
    """Build shards of the small dataset."""
    begin(spec_of(), SEED, out, ENGINE)
    with interruption or Interruption() as asked:
        build_on(cluster, spec_of(), request(), out, shards, RunProgress(quiet=True), asked)


def test_a_shard_that_fails(tmp_path):
    """The others are put in place, the error names it, and the same again builds what is left."""
    spec, out = spec_of(), tmp_path / "out"
    with pytest.raises(ShardsFailedError, match=r"1 of 3 shards .*\(shard 1: no luck\)") as told:
        build(out, Listed(tmp_path / "s", fails=("shard-1",)))
    assert told.value.exit_code == 1
    assert built(spec, out, fingerprint(spec, SEED)) == {0, 2}
    build(out, Listed(tmp_path / "t"), shards=[1])
    assert finish(spec, SEED, out).complete == spec.sessions


def test_what_is_under_way_is_called_off(tmp_path):
    """Whatever ends the work early, the workers cancel theirs; after a normal end they do not."""
    cluster = Listed(tmp_path / "s")
    build(tmp_path / "out", cluster)
    assert cluster.told == []

    class Asked(Interruption):
        """Ctrl-C after the first shard."""

        def check(self):
            if list((tmp_path / "other" / "shards").glob("*.json")):
                raise KeyboardInterrupt

    cluster = Listed(tmp_path / "t")
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "other", cluster, interruption=Asked())
    assert cluster.told == [("cancel", "me")]
    assert built(spec_of(), tmp_path / "other", fingerprint(spec_of(), SEED)) == {0}


def test_unfit(tmp_path):
    """A worker that reads another plan or cannot build is an error, and so is a large shard."""
    spec = spec_of()
    whole = estimate(spec, 40)
    cluster = Listed(tmp_path)
    refuse_unfit(spec, whole, request(), cluster)
    cluster.says["tcp://two:1"] = Failed("network namespaces are not allowed here")
    with pytest.raises(InputError, match="two:1 cannot build this: network namespaces"):
        refuse_unfit(spec, whole, request(), cluster)
    cluster.says["tcp://two:1"] = "0" * 64
    with pytest.raises(InputError, match="it reads another plan"):
        refuse_unfit(spec, whole, request(), cluster)
    with pytest.raises(InputError, match="choose a smaller shard_sessions"):
        refuse_unfit(spec, whole, request(), cluster, bytes_max=1000)


def test_packed_shards_are_plain(tmp_path):
    """Only bytes and names travel, so no class of the builder is needed to unpack them."""
    archive = build_archive(tmp_path, request(), 0)
    assert all(isinstance(data, bytes) for data in [archive.result, *archive.files.values()])
