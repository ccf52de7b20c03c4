"""Schedules and recordings as text, and the kept cases: what the kernel did, held to the model."""

import struct

import pytest
from fuzz.engines.carrying import on_simulator, path_of
from fuzz.engines.cases import Case, case_text, kept, read_case
from fuzz.engines.drawing import batches
from hypothesis import HealthCheck, given, settings

from seglab.errors import InputError
from seglab.networks.link import LinkParams
from seglab.networks.network import Link
from seglab.sender.steps import SetOption, Wait
from seglab.validation.recording import (
    Closed,
    JiffyClock,
    Looked,
    OptionSet,
    Recording,
    Reported,
    SeenPacket,
    SeenSession,
    Written,
    from_text,
    to_text,
)
from seglab.validation.replay import difference, replay
from seglab.validation.schedule import PLAIN, Schedule, from_toml, to_toml, written

CASES = {case.name: case for case in kept()}

TEXT = """\
clock 1234567
phase 381250.400
20113.402 < S 0:0 ack 0 window 65160 mss 1460 scale 7 sacks ts 77 1234567
20170.118 write 1448
20185.902 > 0:1448 P
20186.120 look
20190.000 set cork on
20193.120 write 200 more
20195.711 write 100000 left 12620
40250.777 < 0:0 ack 1448 window 64128 ts 97 1234587 sack 2896:4344 5792:7240
40260.000 mtu 1400 about 1448
40270.000 close
40280.000 > 7240:7241 PF
"""


@pytest.mark.parametrize("name", CASES)
def test_kept_case_is_sent_as_the_kernel_sent_it(name: str) -> None:
    """Given what the kernel's TCP was given, at the same times, the model's TCP sends the same."""
    case = CASES[name]
    found = difference(case.recording, case.schedule.network, nodelay=case.schedule.nodelay)
    assert found is None, "\n".join(found.lines())


@pytest.mark.parametrize("name", CASES)
def test_kept_case_runs_on_the_simulator(name: str) -> None:
    """The whole session completes, and every byte that was written is sent."""
    case = CASES[name]
    carried = on_simulator(case.schedule, 1)
    assert carried.error is None
    assert max(end for _, end, _, _ in carried.sequence) == case.schedule.payload_bytes


def test_there_are_kept_cases() -> None:
    """The two tests above have something to do."""
    assert CASES


@pytest.mark.parametrize("name", CASES)
def test_kept_case_reads_back_from_its_text(name: str, tmp_path) -> None:
    """A case that is written again is the same text."""
    path = CASES[name]
    file = tmp_path / f"{name}.toml"
    file.write_text(case_text(path))
    assert case_text(read_case(file)) == case_text(path)


def test_replay_that_differs_says_where() -> None:
    """A recording that no Linux could have made is told from one that is."""
    case = next(iter(CASES.values()))
    (t_ns, (start, end, psh, fin)), *rest = case.recording.sent
    sent = ((t_ns, (start, end - 1, psh, fin)), *rest)
    wrong = Recording(case.recording.clock_ms, case.recording.events, sent)
    found = difference(wrong, case.schedule.network, nodelay=case.schedule.nodelay)
    assert found is not None
    assert found.at == 0
    assert any(f"{start}:{end - 1}" in line for line in found.lines())


def test_recording_reads_back_from_its_text() -> None:
    """Each kind of event has a line, which is read as what was written."""
    recording = from_text(TEXT, "text")
    assert to_text(recording) == TEXT
    assert recording.clock_ms == 1234567
    assert recording.phase_ns == 381_250_400
    assert recording.sequence == ((0, 1448, True, False), (7240, 7241, True, True))
    events = [event for _, event in recording.events]
    assert events[1:6] == [
        Written(1448),
        Looked(),
        OptionSet("cork", on=True),
        Written(200, more=True),
        Written(100_000, left=12_620),
    ]
    assert events[7:] == [Reported(1400, 1448), Closed()]
    assert events[6].sack == ((2896, 4344), (5792, 7240))


@pytest.mark.parametrize(
    "line", ["write 5", "1.000 jump", "1.000 write 0", "1.000 < ack", "1 close"]
)
def test_recording_refuses_other_lines(line: str) -> None:
    """The error names the line."""
    with pytest.raises(InputError, match="file: line 2: expected a time in microseconds"):
        from_text(f"clock 1\n{line}\n", "file")


def test_jiffies_are_found_from_any_time() -> None:
    """A kernel that counts 4 ms jiffies from a tick at 1 ms."""
    text = "now at 21000500 nsecs\n  .last_tick      : 9000000 nsecs\njiffies: 1005\n"
    clock = JiffyClock.from_timer_list(text)
    assert clock is not None
    assert clock.phase_ns(21_000_000) == 1005 * 4_000_000
    assert clock.phase_ns(20_999_000) == 1004 * 4_000_000 + 3_999_000
    assert clock.phase_ns(1_000_000) == 1000 * 4_000_000
    assert JiffyClock.from_timer_list("now at 5 nsecs\n") is None


def _frame(seq: int, ack: int, flags: int, size: int, *, up: bool) -> bytes:
    """An Ethernet frame of a TCP segment without options, over IPv4."""
    ends = (b"\x0a\x00\x00\x01", b"\x0a\x40\x00\x01")
    source, destination = ends if up else ends[::-1]
    ip = struct.pack("!BxHHHBBH4s4s", 0x45, 40 + size, 1, 0, 64, 6, 0, source, destination)
    tcp = struct.pack("!HHIIHHHH", 1000, 25, seq, ack, 5 << 12 | flags, 500, 0, 0)
    return bytes(12) + b"\x08\x00" + ip + tcp + bytes(size)


def test_seen_packets_become_offsets_from_the_syn() -> None:
    """Sequence numbers that wrap are counted on, and times count from the SYN."""
    isn, peer = 0xFFFFFFFE, 7
    seen = SeenSession(
        [
            SeenPacket(1000, _frame(isn, 0, 2, 0, up=True), sent=True),
            SeenPacket(3000, _frame(peer, isn + 1 & 0xFFFFFFFF, 18, 0, up=False), sent=False),
            SeenPacket(4000, _frame(0xFFFFFFFF, peer + 1, 16, 10, up=True), sent=True),
            SeenPacket(5000, _frame(9, peer + 1, 25, 5, up=True), sent=True),
            SeenPacket(7000, _frame(peer + 1, 9, 16, 0, up=False), sent=False),
        ]
    )
    recording = seen.recording([(3500, Written(15))])
    assert recording.sent == ((3000, (0, 10, False, False)), (4000, (10, 15, True, True)))
    assert [t_ns for t_ns, _ in recording.events] == [2000, 2500, 3999, 6000]
    assert recording.events[3][1].ack == 10


def test_schedule_reads_back_from_its_text() -> None:
    """Steps, reader and every part of the network that differs from a plain one."""
    schedule = Schedule(
        PLAIN,
        (written(1448), Wait(0.0125), SetOption("cork", on=True), written(7, more=True)),
        nodelay=True,
        about='a "quoted" word',
    )
    text = to_toml(schedule)
    assert '"write 1448", "wait 12.5", "cork on", "write 7 more",' in text
    assert from_toml(text.encode(), "file") == schedule


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches(2))
def test_drawn_schedules_read_back_from_their_text(schedules: list[Schedule]) -> None:
    """Whatever is drawn can be kept, and those of a batch share a lab."""
    for schedule in schedules:
        assert from_toml(to_toml(schedule).encode(), "file") == schedule
    assert len({path_of(schedule) for schedule in schedules}) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps = []", "steps: expected a list of steps"),
        ('steps = ["wait 5"]', "steps: expected at least one write"),
        ('steps = ["write 0"]', r'steps\[0\]: expected "write SIZE"'),
        ('steps = ["write 99999999"]', r'steps\[0\]: expected "write SIZE"'),
        ('steps = ["write 5"]\nnodelay = 1', "nodelay: expected true or false"),
        ('steps = ["write 5"]\n[reader]\nkind = "x"', "reader kind"),
        ('steps = ["write 5"]\n[network]\nmtu = 1', "network.mtu"),
        ('steps = ["write 5"]\nstep = 1', "unknown key"),
    ],
)
def test_schedule_refuses_what_it_cannot_read(text: str, expected: str) -> None:
    """One line that says where, what was expected and what was found."""
    with pytest.raises(InputError, match=expected) as raised:
        from_toml(text.encode(), "file")
    assert "\n" not in str(raised.value)


def test_options_of_the_sender_reach_the_simulated_tcp() -> None:
    """TCP_CORK holds a partial segment back, and taking it off sends it."""
    slow = Link(LinkParams(delay_ms=50), LinkParams(delay_ms=50))
    network = PLAIN.__class__("schedule", "", "", core=slow)
    corked = (SetOption("cork", on=True), written(100), written(50), SetOption("cork", on=False))
    free = (written(100), written(50))
    ends = {
        steps: [
            end for _, end, _, _ in on_simulator(Schedule(network, steps, nodelay=True), 1).sequence
        ]
        for steps in (corked, free)
    }
    assert ends == {corked: [150], free: [100, 150]}


def test_more_holds_a_partial_segment_back() -> None:
    """MSG_MORE: the next write joins it."""
    slow = Link(LinkParams(delay_ms=50), LinkParams(delay_ms=50))
    network = PLAIN.__class__("schedule", "", "", core=slow)
    schedule = Schedule(network, (written(100, more=True), Wait(0.05), written(50)), nodelay=True)
    assert [end for _, end, _, _ in on_simulator(schedule, 1).sequence] == [150]


def test_replay_takes_the_writes_at_their_times() -> None:
    """Without the writes nothing is sent."""
    case: Case = next(iter(CASES.values()))
    silent = Recording(
        case.recording.clock_ms,
        tuple(one for one in case.recording.events if not isinstance(one[1], Written | Closed)),
        case.recording.sent,
    )
    assert replay(silent, case.schedule.network, nodelay=False, phase_ns=0) == ()
