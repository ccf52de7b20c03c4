"""Writes the datasheet of a dataset, ``README.md``: what a stranger must know before using it.

It answers the questions of *Datasheets for Datasets* (Gebru et al., 2021) that the manifest has an
answer to. Its head is YAML, which Hugging Face reads.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import fill

from seglab.dataset.columns import COLUMNS, LABELS
from seglab.dataset.manifest import DatasetManifest
from seglab.dataset.spec import DatasetSpec
from seglab.dataset.splits import PARTS
from seglab.engine import SIMULATORS, client_tcp

_HEAD = """\
---
pretty_name: {title}
{licence}
tags: [tcp, smtp, network-traffic]
configs:
- config_name: default
  data_files:
{files}
---

# {heading}

{description}A dataset of {sessions} {made} mail sessions, each with what its sender wrote (write
calls), what the wire carried (TCP segments) and what the server read (`recv` returns), as byte
ranges of one stream, and with labels that are known rather than inferred.
Made with seglab {version} by

    seglab dataset build {name}.toml --seed {seed}{engine} --out DIR
"""

_MOTIVATION = """
## Motivation

It is for training and testing classifiers that infer from the sizes of segments or reads how a
program writes, and for finding out whether such a classifier has learned the sender or merely the
network in between.
"""

_COMPOSITION = """
## Composition

A row is one session: one connection of one sender, over one network, that carries one message.
{counts}
Nothing in it is about a person: {mail}, and no packet left the machine that made it.
A row needs no other file; the sender, the network and the labels are repeated in each.

{balance}"""

_SPLITS = """
## Splits

{columns}

- `split` is drawn for messages, not for sessions: all sessions that carry one message, over all
  networks, are in one part, so no message is in two parts.
  The names of the files have it, too. Shares: {shares}.
{held_out}
Use the part `validation` to choose, and `test` once.
Do not divide the sessions at random yourself: the same message goes over every network, and a
model would recognise it.
"""

_PROCESS = """
## Collection process

{how}{planned} sessions were planned.
Their shards took {hours} of building on {machines}, added up; shards are built side by side.

Every row obeys: writes and reads each cover the payload once, in order; the segments that arrived
cover it; no segment exceeds the MSS; nothing is sent before it is written or read before it
arrived; the server received what was written, by SHA-256.
"""

_CARRIED_OUT = """\
The sessions were carried out, not simulated: senders wrote to sockets of the Linux kernel
({kernels}), in private network namespaces, over links of the lab's own that delay, pace and lose
frames as each network's table says.
The wire recorded each frame as it entered and left; the server logged each `recv`.
Segmentation offloads were off, and settings that decide segmentation were set, read back, and are
in `manifest.json` (`environment`), as are the networks in full (`networks`).
"""

_SIMULATED = """\
The sessions were simulated, not carried out: the engine was `{engine}`.
No packet was sent. A model of both TCPs, of the path and of the programs at its ends made writes,
segments and reads in virtual time; `docs/simulator.md` of seglab says what it leaves out.
The networks are in full in `manifest.json` (`networks`).
"""

_SAME_SIMULATED = """
## What is equal when it is built again

Everything: with the same specification, seed and version of seglab, all rows are the same on every
machine, since their times are virtual.
"""

_LABELS = """
## Labels

| column | what it says | how it is known |
| --- | --- | --- |
| `style` | how the program cuts a message into writes | the lab ran the program |
| `terminator` | whether the end of data has its own write; null for raw TCP | in the same way |
| `path_condition` | the path: steady, small MSS, changing MTU | the network's table |
| `writes` | where each write ended | {client} |

Some styles look alike on the wire (a relay, and line-by-line writing under Nagle's algorithm); the
labels still say which it was, so no classifier of sizes alone reaches 100 %.
"""

_LIMITS = """
## Known limits

- All senders are emulated, and each writes in one way; real programs vary more.
- Sessions do not compete for a bottleneck: no other session uses their links.
- {tcp}; other stacks cut differently where the window is short.
- Where a message is larger than the initial congestion window, boundaries of writes that were
  queued behind it cannot be seen on the wire by anyone.
- The frequencies come from the specification, not from the world: nothing here says how much spam
  is sent in which way.
"""

_USE = """
## Recommended use

```python
pandas.read_parquet("data")
polars.read_parquet("data/*.parquet")
duckdb.sql("FROM 'data/*.parquet'")
datasets.load_dataset(".")
```

The sizes that a classifier sees are the columns `segment_sizes` and `read_sizes`, lists of plain
numbers: `pandas.read_parquet("data", columns=["style", "segment_sizes"])`.
Each byte counts in the segment in which it arrived first, so losses and repetitions are in
`segments` only.
Report results for each network, and separately for held-out ones.
{captures}
"""

_SAME = """
## What is equal when it is built again

With the same specification, seed and version of seglab, the rows and their order are the same, and
so are these columns:

{seed}

These depend on the kernel and the machine, and differ:

{kernel}

The draws of a link (which frame is lost, how late it is) come from the row's `seed` and are the
same. Which frame meets which draw depends on times, so `segments` depends on the kernel.
"""

_UPKEEP = """
## Distribution and maintenance

Licence: {licence}.{creator}
`sha256sum --check SHA256SUMS` checks the files; `seglab dataset check DIR` checks the content, too.
`croissant.json` describes the dataset for machines.
"""


def datasheet(manifest: DatasetManifest, spec: DatasetSpec) -> str:
    """Make the text of the datasheet."""
    files = "\n".join(
        f"  - split: {part}\n    path: data/{part}-*.parquet"
        for part in PARTS
        if manifest.splits.get("split", {}).get(part)
    )
    origins = {
        origin: fill(
            ", ".join(f"`{name}`" for name, column in COLUMNS.items() if column.origin == origin),
            100,
        )
        for origin in ("seed", "kernel")
    }
    simulated = _is_simulated(manifest)
    return "".join(
        (
            _HEAD.format(
                title=json.dumps(manifest.title),
                licence=_licence(manifest.licence),
                files=files,
                heading=_plain(manifest.title),
                description=_description(manifest),
                sessions=manifest.complete,
                version=", ".join(sorted({v.get("seglab", "?") for v in manifest.versions})),
                name=manifest.name,
                seed=manifest.seed,
                made="simulated" if simulated else "recorded",
                engine=f" --engine {manifest.engine}" * simulated,
            ),
            _MOTIVATION,
            _COMPOSITION.format(
                counts=_counts(manifest), mail=_mail(spec), balance=_balance(manifest)
            ),
            _SPLITS.format(
                columns=_split_table(manifest),
                shares=", ".join(f"{part} {spec.splits.pct[part]} %" for part in PARTS),
                held_out="".join(_held_out(spec)),
            ),
            _PROCESS.format(
                how=_how(manifest),
                planned=manifest.planned,
                hours=_duration(manifest.timings.get("shards", 0.0)),
                machines=", ".join(manifest.machines),
            ),
            _LABELS.format(
                client="the model's client logged its calls"
                if simulated
                else "the client logged its calls"
            ),
            _LIMITS.format(
                tcp="A model of one kernel's TCP sent everything"
                if simulated
                else "One kernel's TCP sent everything"
            ),
            _USE.format(captures=_captures(spec)),
            _SAME_SIMULATED if simulated else _SAME.format(**origins),
            _UPKEEP.format(
                licence=_plain(manifest.licence),
                creator=f"\nMade by: {_plain(manifest.creator)}." if manifest.creator else "",
            ),
        )
    )


def _is_simulated(manifest: DatasetManifest) -> bool:
    return manifest.engine in SIMULATORS


def _how(manifest: DatasetManifest) -> str:
    """How the sessions came about."""
    remarks = "".join(
        f"{_plain(words)}\n" for words in client_tcp.remarks(manifest.networks, manifest.engine)
    )
    if _is_simulated(manifest):
        return _SIMULATED.format(engine=_plain(manifest.engine)) + remarks
    return _CARRIED_OUT.format(kernels=", ".join(manifest.kernels)) + remarks


def _licence(licence: str) -> str:
    """The licence in the form of Hugging Face: a name in its list, or a link."""
    if "://" in licence:
        return f"license: other\nlicense_link: {json.dumps(licence)}"
    return f"license: {json.dumps(licence.lower())}"


def _description(manifest: DatasetManifest) -> str:
    return "" if manifest.description == manifest.title else f"{_plain(manifest.description)}\n\n"


def _counts(manifest: DatasetManifest) -> str:
    words = f"{manifest.planned} sessions were planned, {manifest.complete} are here."
    if not manifest.failed:
        return words
    rows = _table(
        ("network", "failed", "the first one's reason"),
        (
            (network, str(entry["failed"]), _plain(str(entry["error"])))
            for network, entry in manifest.failures.items()
        ),
    )
    return f"{words}\nThe others failed, and are not rows; `shards/` names each:\n\n{rows}"


def _mail(spec: DatasetSpec) -> str:
    own = any(c.template.numbers for c in spec.combinations)
    generated = "the mails are generated, with addresses of domains kept for examples"
    return "it has no mail's text, only sizes and the names of header fields" if own else generated


def _balance(manifest: DatasetManifest) -> str:
    rows = (
        (f"`{column}`", value, *(str(counts.get(part, 0)) for part in PARTS))
        for column in LABELS
        for value, counts in manifest.labels.get(column, {}).items()
    )
    return _table(("column", "value", *PARTS), rows)


def _split_table(manifest: DatasetManifest) -> str:
    rows = (
        (f"`{column}`", *(str(counts.get(part, 0)) for part in PARTS),
         str(manifest.complete - sum(counts.values())))
        for column, counts in manifest.splits.items()
    )  # fmt: skip
    return _table(("column", *PARTS, "null"), rows)


def _held_out(spec: DatasetSpec) -> Iterator[str]:
    if spec.splits.networks:
        yield (
            f"- `split_network` holds out networks: {_names(spec.splits.networks)}.\n"
            "  A part has the sessions of its networks whose message is in the same part of\n"
            "  `split`; the others are null, since they would put a message into two parts.\n"
        )
    if spec.splits.templates:
        yield (
            "- `split_template` holds out kinds of messages, with all of their sessions: "
            f"{_names(spec.splits.templates)}.\n"
        )


def _names(held_out: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` for {part}" for name, part in held_out.items())


def _captures(spec: DatasetSpec) -> str:
    if not spec.captures:
        return "The packets were not kept."
    return (
        "The column `captures` names two captures of each session, in ZIP archives:\n"
        "`wire/00000.zip/NAME` is `unzip -p wire/00000.zip NAME`, for Wireshark."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _plain(text: str) -> str:
    """Escape text of the specification's author, so that it is no Markdown."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
