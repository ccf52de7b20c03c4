"""``seglab dataset build --cluster``: shards are built on a cluster, and put in place here."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from seglab.cluster.dask import Cluster, Failed
from seglab.cluster.shards import (
    BYTES_MAX,
    BuildRequest,
    build_archive,
    cancel,
    check_worker,
    install_shard,
)
from seglab.dataset.estimate import Estimate, size
from seglab.dataset.plan import fingerprint
from seglab.dataset.spec import DatasetSpec
from seglab.errors import InputError, SeglabError
from seglab.execution.interruption import Interruption
from seglab.execution.progress import ProgressListener


class ShardsFailedError(SeglabError):
    """Some shards could not be built by any worker; all others are in place."""

    exit_code = 1


def refuse_unfit(
    spec: DatasetSpec,
    whole: Estimate,
    request: BuildRequest,
    cluster: Cluster,
    bytes_max: int = BYTES_MAX,
) -> None:
    """Make sure that every worker can build every shard, and that no shard is too large.

    Raises:
        InputError: a shard is too large, or a worker lacks something.
    """
    shard_bytes = whole.file_bytes / max(whole.shards, 1)
    if shard_bytes > bytes_max:
        raise InputError(
            f"{spec.name}: a shard will have about {size(shard_bytes)}, and {size(bytes_max)} can "
            "be sent home from a cluster; choose a smaller shard_sessions"
        )
    expected = fingerprint(spec, request.seed)
    for who, found in cluster.everywhere(check_worker, request).items():
        if found != expected:
            reason = found.reason if isinstance(found, Failed) else "it reads another plan"
            raise InputError(f"{cluster.address}: {who} cannot build this: {reason}")


def build_on(
    cluster: Cluster,
    spec: DatasetSpec,
    request: BuildRequest,
    out: Path,
    shards: Iterable[int],
    progress: ProgressListener,
    interruption: Interruption,
) -> None:
    """Build shards on a cluster; each one is installed as soon as it comes back.

    Raises:
        ShardsFailedError: some shards could not be built.
        EnvironmentLacksError: the cluster, or the room on the disk, is gone.
        KeyboardInterrupt: Ctrl-C or SIGTERM; builds under way are cancelled on the workers.
    """
    failed: list[str] = []
    jobs = ((f"shard-{shard}", (request, shard)) for shard in shards)
    whole = False
    try:
        with closing(cluster.each(build_archive, jobs, interruption.check)) as ended:
            for name, found in ended:
                shard = int(name.removeprefix("shard-"))
                if isinstance(found, Failed):
                    failed.append(f"shard {shard}: {found.reason}")
                    progress.say(failed[-1])
                    continue
                result = install_shard(spec, request.seed, shard, out, found)
                for session in result.failed:
                    progress.ended(session.session_id, session.error)
                for _ in range(result.complete):
                    progress.ended("", None)
        whole = True
    finally:
        if not whole:
            cancel_on(cluster, request)
    if failed:
        raise ShardsFailedError(
            f"{out}: {len(failed)} of {spec.shards} shards could not be built ({failed[0]}); all "
            "others are kept, and the same command tries these again"
        )


def cancel_on(cluster: Cluster, request: BuildRequest) -> None:
    """End the builds of this request on all workers that can be reached."""
    try:
        cluster.everywhere(cancel, request.owner_id)
    except SeglabError:
        return  # the scheduler is gone, and without it no worker can be reached
