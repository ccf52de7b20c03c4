"""``import seglab``: what it offers, each example of ``docs/python.md``, and each error."""

import asyncio
import dataclasses
import pickle
import shutil
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from dataset_making import PureEngine, build, carried_out
from frames import tcp_frame
from scapy.layers.inet import TCP
from stored_captures import captures_of, pcapng
from stored_runs import stored_run
from synthetic import record
from test_docs import blocks, table

import seglab
from seglab.engine import _factories
from seglab.errors import EnvironmentLacksError, InputError
from seglab.runs.stored_session import StoredSession

DOCUMENT = "docs/python.md"
PAPER = Path(__file__).parents[2] / "examples" / "paper.log"
T_NS = 1_391_245_200_123_456_789
CAPTURE = pcapng(
    [
        (T_NS, tcp_frame(seq=1, payload=b"x" * 1440), "data 0:1440, arrived after 70.000 ms"),
        (
            T_NS + 1_000,
            tcp_frame(seq=1441, payload=b"y" * 60),
            "data 1440:1500, lost: loss on core",
        ),
        (T_NS + 2_000, tcp_frame(seq=1, ack=1501, back=True), "ACK, arrived after 70.000 ms"),
    ]
)


class InProcessEngine(PureEngine):
    """Stands for the kernel engine: sessions in pure Python, and real captures."""

    name = "kernel"
    threads: list[threading.Thread]

    async def run(self, specs, on_record):
        """Carry sessions out, one after the other."""
        for session, network in specs:
            found = carried_out(session, network)
            for name in (found.captures.client, found.captures.server):
                (self.options.folder / name).write_bytes(CAPTURE)
            InProcessEngine.threads.append(threading.current_thread())
            on_record(found)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> type[InProcessEngine]:
    """No test of this file needs namespaces."""
    InProcessEngine.threads = []
    monkeypatch.setitem(_factories, "kernel", InProcessEngine)
    return InProcessEngine


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the examples open: runs/mine, data/mine and examples."""
    folder = tmp_path_factory.mktemp("python")
    records = [
        record(name, captures=captures_of(name)) for name in ("scenario-1.0000", "scenario-1.0001")
    ]
    stored_run(folder / "runs" / "mine", records)
    for found in records:
        for name in (found.captures.client, found.captures.server):
            (folder / "runs" / "mine" / name).write_bytes(CAPTURE)
    PureEngine.reset()
    build(folder / "data" / "mine")
    (folder / "examples").mkdir()
    shutil.copy(PAPER, folder / "examples" / "paper.log")
    return folder


@pytest.mark.parametrize("program", blocks(DOCUMENT, "python"))
def test_examples_run(program: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example of the document runs by itself, and prints what its reader is to see."""
    monkeypatch.chdir(places)
    output = StringIO()
    with redirect_stdout(output):
        exec(compile(program, DOCUMENT, "exec"), {})
    assert output.getvalue().strip()


def test_every_name_is_explained_and_there() -> None:
    """The document's table, ``__all__`` and ``dir`` have the same names, and each can be had."""
    told = {name.removeprefix("seglab.") for name in table(DOCUMENT, "## What there is")}
    assert told == {*seglab.__all__} - {"__version__"}
    assert dir(seglab) == sorted(seglab.__all__)
    for name in seglab.__all__:
        assert getattr(seglab, name), name
        assert name == "__version__" or getattr(seglab, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'runs_'"):
        _ = seglab.runs_


def test_importing_is_cheap() -> None:
    """``import seglab`` imports no other module of seglab, nor any package."""
    program = (
        "import sys; before = {*sys.modules}; import seglab;"
        "print(sorted({name.split('.')[0] for name in {*sys.modules} - before}"
        " - sys.stdlib_module_names), [m for m in sys.modules if m.startswith('seglab.')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "['seglab'] []"


def test_a_run_is_stored_and_returned(tmp_path: Path) -> None:
    """Its sessions are those that the callback got, and those of the folder."""
    ended: list[StoredSession] = []
    run = seglab.run(
        "scenario-1", sessions=3, seed=5, out=tmp_path / "run", on_session=ended.append
    )
    assert run.path == tmp_path / "run"
    assert run.manifest.status == "complete"
    assert run.manifest.seed == 5
    assert len(run) == 3
    assert [*run] == sorted(ended, key=lambda session: session.session_id)
    assert [*seglab.open_run(tmp_path / "run")] == [*run]
    assert run.session(ended[0].session_id) == ended[0]
    with pytest.raises(InputError, match="holds no session 'x'"):
        run.session("x")


def test_a_scenario_by_value_by_path_and_by_name_is_the_same(tmp_path: Path) -> None:
    """All three plan the same sessions."""
    source = Path(__file__).parents[2] / "scenarios" / "scenario-1.toml"
    given = ["scenario-1", seglab.scenario("scenario-1"), source, str(source)]
    runs = [
        seglab.run(scenario, sessions=2, out=tmp_path / str(number))
        for number, scenario in enumerate(given)
    ]
    assert len({tuple((s.session_id, s.seed) for s in run) for run in runs}) == 1


def test_a_changed_scenario_runs_as_it_was_changed(tmp_path: Path) -> None:
    """A value's own name and number of sessions count."""
    few = dataclasses.replace(seglab.scenario("scenario-1"), name="few", sessions=2)
    run = seglab.run(few, out=tmp_path / "run")
    assert [session.scenario for session in run] == ["few", "few"]


def test_without_out_the_run_has_a_folder_below_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named after the scenario, as on the command line, and found after a chdir."""
    monkeypatch.chdir(tmp_path)
    run = seglab.run("scenario-1", sessions=1)
    assert run.path.parent == tmp_path / "runs"
    assert run.path.name.startswith("scenario-1-")
    monkeypatch.chdir("/")
    assert len([*run]) == 1


def test_one_name_is_a_name_and_not_letters(tmp_path: Path) -> None:
    """``senders="raw_writes"`` keeps that sender."""
    run = seglab.run("scenario-1", senders="raw_writes", sessions=1, out=tmp_path / "run")
    assert [session.sender for session in run] == ["raw_writes"]


def test_inside_an_event_loop_sessions_run_in_another_thread(
    tmp_path: Path, engine: type[InProcessEngine]
) -> None:
    """As in a notebook, whose cells run inside one."""

    async def cell() -> seglab.StoredRun:
        return seglab.run("scenario-1", sessions=1, out=tmp_path / "run")

    assert len(asyncio.run(cell())) == 1
    assert engine.threads[0] is not threading.main_thread()


def test_a_run_in_a_thread(tmp_path: Path, engine: type[InProcessEngine]) -> None:
    """Only the main thread may handle signals; others run sessions nevertheless."""
    thread = threading.Thread(
        target=lambda: seglab.run("scenario-1", sessions=1, out=tmp_path / "run")
    )
    thread.start()
    thread.join()
    assert engine.threads == [thread]
    assert seglab.open_run(tmp_path / "run").manifest.status == "complete"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenario": "scenario-9"}, "unknown scenario 'scenario-9'"),
        ({"senders": ["relais"]}, "sender 'relais': not in scenario-1"),
        ({"networks": ["ppoe"]}, "network 'ppoe': not in scenario-1"),
        ({"sessions": 0}, "sessions: expected 1 or more, found 0"),
        ({"engine": "kernal"}, "unknown engine 'kernal'; did you mean"),
        ({"jobs": 0}, "jobs: expected 1 or more, found 0"),
        ({"time_limit_s": float("nan")}, "time_limit_s: expected a positive number, found nan"),
    ],
)
def test_what_cannot_run_is_refused(tmp_path: Path, options: dict[str, object], words: str) -> None:
    """One line says why, and no run is left."""
    with pytest.raises(InputError, match=words):
        seglab.run(**({"scenario": "scenario-1", "out": tmp_path / "run"} | options))
    assert not (tmp_path / "run").exists()


def test_packets_are_scapys(places: Path) -> None:
    """Each frame with its time, its comment and its layers, in the order of the capture."""
    session = next(iter(seglab.open_run(places / "runs" / "mine")))
    packets = session.packets("server")
    assert [len(packet[TCP].payload) for packet in packets] == [1440, 60, 0]
    assert [int(packet.time * 1_000_000_000) for packet in packets] == [
        T_NS,
        T_NS + 1_000,
        T_NS + 2_000,
    ]
    assert packets[1].comment == b"data 1440:1500, lost: loss on core"
    assert packets.listname == "scenario-1.0000.server.pcapng"


def test_packets_of_a_dataset_come_out_of_its_archive(places: Path) -> None:
    """Each side's capture has the session's segments, in order and with their lengths."""
    session = next(iter(seglab.open_dataset(places / "data" / "mine")))
    assert session.capture("client") != session.capture("server")
    for side in ("client", "server"):
        frames = [len(packet[TCP].payload) for packet in session.packets(side)]
        sizes = [segment.end - segment.start for segment in session.segments]
        assert [size for size in frames if size in sizes] == sizes


def test_a_capture_that_is_none(tmp_path: Path) -> None:
    """What Scapy cannot read is one line that names the capture."""
    run = seglab.open_run(
        stored_run(tmp_path / "run", [record("s-1", captures=captures_of("s-1"))])
    )
    (session,) = run
    (run.path / "wire" / "s-1.client.pcapng").write_bytes(b"no capture")
    with pytest.raises(InputError, match=r"s-1.client.pcapng: not a capture that Scapy reads"):
        session.packets()


def test_packets_without_scapy(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to get it."""
    monkeypatch.setitem(sys.modules, "scapy.utils", None)
    monkeypatch.delitem(sys.modules, "seglab.runs.packets", raising=False)
    session = next(iter(seglab.open_run(places / "runs" / "mine")))
    with pytest.raises(EnvironmentLacksError, match=r"pip install scapy"):
        session.packets()


def test_captures_that_are_not_there(tmp_path: Path) -> None:
    """No capture was stored, its file is gone, or there is no such side."""
    names = captures_of("s-1")
    run = seglab.open_run(
        stored_run(tmp_path / "run", [record("s-0"), record("s-1", captures=names)])
    )
    without, gone = run
    with pytest.raises(InputError, match="s-0: no capture of the client's side is stored"):
        without.packets()
    with pytest.raises(InputError, match=r"s-1.client.pcapng: cannot be read: No such file"):
        gone.packets()
    with pytest.raises(InputError, match="side: expected client or server, found 'router'"):
        gone.capture("router")


def test_sessions_are_records(places: Path) -> None:
    """They are stored, pickled and changed as records are, and a pickled one finds its captures."""
    session = next(iter(seglab.open_run(places / "runs" / "mine")))
    again = pickle.loads(pickle.dumps(session))
    assert again == session
    assert again.capture() == CAPTURE
    plain = record("scenario-1.0000", captures=session.captures)
    assert session.to_json() == plain.to_json()
    assert session.to_row() == plain.to_row()
    assert dataclasses.replace(session, seed=9).seed == 9
    assert session.observation("reads").sizes == (5120,)
    assert session.observation().sizes == (1440, 1440, 1440, 800)


def test_splits_of_a_dataset(places: Path) -> None:
    """A part's sessions are those whose rows say so, in any of the three columns."""
    dataset = seglab.open_dataset(places / "data" / "mine")
    rows = [*dataset.rows()]
    assert len(dataset) == len(rows) == len([*dataset])
    for column in ("split", "split_network", "split_template"):
        found = [session.session_id for session in dataset.sessions("test", column)]
        assert found
        assert found == [row["session_id"] for row in rows if row[column] == "test"]


def test_what_is_no_run_or_dataset_is_refused(places: Path) -> None:
    """Each says which file is missing."""
    with pytest.raises(InputError, match=r"no run is stored here \(run.json is missing\)"):
        seglab.open_run(places / "data" / "mine")
    with pytest.raises(InputError, match=r"no dataset is stored here \(manifest.json is missing\)"):
        seglab.open_dataset(places / "runs" / "mine")


def test_checks_of_a_function_a_name_and_a_program(tmp_path: Path) -> None:
    """A function that ignores its input breaks no pairing, and the paper's rules break some."""
    constant = seglab.check_classifier(lambda _: "single_write", checks=["label_ignores_mtu"])
    named = seglab.check_classifier("paper", checks=["label_ignores_mtu"])
    assert constant.good
    assert not named.good
    assert named.classifier == "paper"
    assert named.sources == ("sample",)
    abstains = tmp_path / "abstains.py"
    abstains.write_text("import sys\nfor line in sys.stdin: print('null', flush=True)\n")
    reference = f"cmd:{sys.executable} {abstains}"
    program = seglab.check_classifier(reference, checks=["label_ignores_mtu"])
    assert (program.classifier, program.stopped) == (reference, None)


def test_checks_of_sessions_that_were_chosen(places: Path) -> None:
    """Sessions may be a run, a list, or the path of either."""
    run = seglab.open_run(places / "runs" / "mine")
    by_value = seglab.check_classifier("paper", sessions=run)
    by_path = seglab.check_classifier("paper", sessions=run.path)
    assert by_value == by_path
    assert by_value.sessions == 2
    assert seglab.check_classifier("paper", sessions=[*run][:1]).sessions == 1
    with pytest.raises(InputError, match="expected at least one complete session, found none"):
        seglab.check_classifier("paper", sessions=[])
    with pytest.raises(InputError, match="layer: expected segments, reads or both, found 'writes'"):
        seglab.check_classifier("paper", layer="writes")


def test_one_observation_needs_no_id_and_takes_the_layer() -> None:
    """``layer=`` says what the sizes are; it may not contradict the observation."""
    seen = []

    def spy(observation: seglab.Observation) -> None:
        seen.append((observation.id, observation.layer))

    seglab.classify({"sizes": [4320, 800]}, classifier=spy)
    seglab.classify({"sizes": [1448, 800]}, classifier=spy, layer="segments")
    seglab.classify({"id": "a", "sizes": [5], "layer": "reads"}, classifier=spy, layer="reads")
    assert seen == [("1", "reads"), ("1", "segments"), ("a", "reads")]
    with pytest.raises(InputError, match="layer: 'segments', but the observation itself says"):
        seglab.classify({"sizes": [5], "layer": "reads"}, classifier=spy, layer="segments")
    with pytest.raises(InputError, match="unknown key 'size'; did you mean 'sizes'"):
        seglab.classify({"size": [5]}, classifier=spy)
