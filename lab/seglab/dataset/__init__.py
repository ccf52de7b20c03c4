"""Labelled datasets: their specification, how they are built in shards, checked and read.

A program can build a dataset without the command line. ``begin`` makes the folder. ``build_shard``
builds any shard; it needs only the specification, the seed and the shard's number. ``finish``
describes what is on disk then::

    spec = read_spec(Path("mine.toml"))           # seglab.dataset.spec
    begin(spec, seed, out)                        # seglab.dataset.folder
    for shard in range(spec.shards):
        build_shard(spec, seed, shard, out)       # seglab.dataset.shard
    finish(spec, seed, out)                       # seglab.dataset.folder
"""

from seglab.dataset.reading import records

__all__ = ["records"]
