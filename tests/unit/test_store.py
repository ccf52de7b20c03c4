"""Records as JSON and as Parquet: what goes in comes out, and foreign files are refused."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import record, simulated

from seglab import regress
from seglab.core.record import Captures, SessionRecord
from seglab.core.trace import Segment, SocketOption, WriteCall
from seglab.errors import InputError
from seglab.runs import parquet as store

FULL = record(
    terminator="own_write",
    seed=2**64 - 1,
    error="a \"quoted\" reason, 'ümlaut' </script>",
    payload_sha256="00" * 32,
    segments=(
        Segment(5, None, 0, 1440, dropped=True, drop_reason="access: loss"),
        Segment(9, 12, 0, 1440, psh=True, retransmission=True),
    ),
    variant="gap_ms=20",
    parameters='{"gap_ms": 20.0}',
    initcwnd=10,
    captures=Captures("wire/a.pcapng", None),
)

DESIGN_COLUMNS = """session_id scenario sender style terminator network path_condition engine
seed repeat mtu mss timestamps status error payload_bytes payload_sha256 writes segments reads
"""


@pytest.mark.parametrize("original", [FULL, record(), simulated(3)])
def test_json_round_trip(original):
    """A record survives its journal line, which is one line."""
    line = original.to_json()
    assert b"\n" not in line
    assert SessionRecord.from_json(line) == original


def test_files_of_version_1_are_read():
    """The shipped sample is of version 1: its rows are of emulated senders."""
    path = Path(regress.__file__).parent / "sample.parquet"
    assert pq.read_schema(path).metadata[b"schema_version"] == b"1"
    assert not {"kind", "calls", "options"} & set(pq.read_schema(path).names)
    found = next(store.read_sessions(path))
    assert (found.kind, found.calls, found.exit_code) == ("emulated", (), None)
    assert found.schema_version == 1


def test_a_program_survives_both_stores(tmp_path):
    """What only programs have comes back from the journal and from Parquet."""
    program = replace(
        FULL,
        kind="program",
        calls=(
            WriteCall(1, "sendto", 0, 10, 12, 10, 0x8000),
            WriteCall(2, "writev", 10, 10, None, -11, None),
        ),
        options=(SocketOption(0, "TCP_CORK", "set", 1), SocketOption(1, "TCP_MAXSEG", "get")),
        exit_code=-9,
        output="line\n",
        notes=("full",),
        dialogue=("EHLO a", "MAIL FROM:<a@b.c>\nDATA"),
    )
    assert SessionRecord.from_json(program.to_json()) == program
    store.write_sessions(tmp_path / "sessions.parquet", [program])
    assert list(store.read_sessions(tmp_path / "sessions.parquet")) == [program]


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"session_id": 3}', b"\xff\xfe", b'{"session_id": "a"}']
)
def test_a_foreign_line_is_an_input_error(line):
    """Whatever is not a record raises the one error that the command line knows."""
    with pytest.raises(InputError, match="not a session record"):
        SessionRecord.from_json(line)


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_our_error(line):
    """No input makes the record's parser raise anything but its own error."""
    with pytest.raises(InputError):
        SessionRecord.from_json(line)


def test_parquet_round_trip(tmp_path):
    """Records of every shape survive the file, in order, over several row groups."""
    path = tmp_path / "sessions.parquet"
    originals = [FULL, *[record(f"s/{i}") for i in range(store.ROW_GROUP_SESSIONS)]]
    assert store.write_sessions(path, iter(originals)) == len(originals)
    assert list(store.read_sessions(path)) == originals
    assert pq.ParquetFile(path).num_row_groups == 2


def test_no_session_is_a_file_too(tmp_path):
    """A run without a finished session still has a readable file."""
    path = tmp_path / "sessions.parquet"
    store.write_sessions(path, [])
    assert list(store.read_sessions(path)) == []


def test_schema_holds_the_fixed_columns(tmp_path):
    """The public columns have the names and nested shapes that the design fixes."""
    path = tmp_path / "sessions.parquet"
    store.write_sessions(path, [FULL])
    schema = pq.read_schema(path)
    assert schema.names[:20] == DESIGN_COLUMNS.split()
    assert schema.metadata[b"schema_version"] == b"2"
    (row,) = pq.read_table(path).to_pylist()
    assert set(row["writes"][0]) == {"t_ns", "start", "end"}
    assert set(row["reads"][0]) == {"t_ns", "start", "end"}
    assert set(row["segments"][0]) >= {
        *("t_sent_ns", "t_arrived_ns", "start", "end", "psh", "retransmission", "dropped"),
    }
    assert row["segments"][0]["t_arrived_ns"] is None
    assert row["seed"] == 2**64 - 1


def _parquet(path, columns, metadata=None):
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_foreign_files_are_refused(tmp_path):
    """Absent, not Parquet, cut short, of others, of the future: one line each."""
    path = tmp_path / "x.parquet"
    good = tmp_path / "good.parquet"
    store.write_sessions(good, [record()])
    cases = {
        "no such file": lambda: path.unlink(missing_ok=True),
        "not a readable Parquet file": lambda: path.write_bytes(b"PAR1 but not really"),
        "readable Parquet file": lambda: path.write_bytes(good.read_bytes()[:-40]),
        "not sessions of seglab": lambda: _parquet(path, {"a": [1]}),
        "schema_version 99": lambda: _parquet(
            path, {"session_id": ["a"], "status": ["x"]}, {"schema_version": "99"}
        ),
        "not a session record": lambda: _parquet(
            path, {"session_id": ["a"], "status": ["x"]}, {"schema_version": "1"}
        ),
    }
    for expected, prepare in cases.items():
        prepare()
        with pytest.raises(InputError, match=expected) as caught:
            list(store.read_sessions(path))
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_directory_is_refused(tmp_path):
    """A path that is a directory is one line as well."""
    with pytest.raises(InputError, match="not a readable Parquet file"):
        list(store.read_sessions(tmp_path))
