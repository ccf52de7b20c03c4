"""Labelled datasets: what is to be built, in which shards, and how it is read again.

To build one elsewhere than on the command line, ``begin`` makes the folder, ``build_shard`` builds
any shard from the specification, the seed and its number alone, and ``finish`` describes what lies
on disk then::

    spec = read_spec(Path("mine.toml"))           # seglab.dataset.spec
    begin(spec, seed, out)                        # seglab.dataset.folder
    for shard in range(spec.shards):
        build_shard(spec, seed, shard, out)       # seglab.dataset.shard
    finish(spec, seed, out)                       # seglab.dataset.folder
"""

from seglab.dataset.reading import records

__all__ = ["records"]
