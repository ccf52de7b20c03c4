"""The report's page of runs that are unusual: uneven times, many writes, hostile text, a matrix."""

import json
import random
from dataclasses import replace
from itertools import accumulate

import pytest
from msgspec.structs import replace as altered
from report_pages import built, choose, panel
from synthetic import MS, record, simulated

from seglab.core.record import Captures, SessionRecord
from seglab.core.trace import Read, Segment, Write
from seglab.plots.clock import clock
from seglab.runs.manifest import Experiment

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"


def uneven(number: int) -> SessionRecord:
    """A session of many reads within a millisecond, and a few after pauses of up to 1 s."""
    rng = random.Random(number)
    pauses_ns = [rng.randrange(200, 1000) * 1000 for _ in range(rng.randrange(2, 12))]
    pauses_ns += [round(10 ** rng.uniform(3, 4 + number % 3)) * 1000 for _ in range(number % 7)]
    rng.shuffle(pauses_ns)
    instants = [70 * MS + t for t in accumulate(pauses_ns)]
    return record(
        session_id=f"uneven.{number:02}",
        payload_bytes=100 * len(instants),
        writes=(Write(0, 0, 100 * len(instants)),),
        segments=(),
        reads=tuple(Read(t, 100 * i, 100 * i + 100) for i, t in enumerate(instants)),
    )


def test_the_pages_clock_is_the_figures_clock(page, tmp_path):
    """Reads stand where the time axis of the figures puts them, and idle spans are as long."""
    sessions = [uneven(number) for number in range(40)]
    page.open(built(tmp_path / "run", sessions, command="run", scenarios=()))
    for session in sessions:
        choose(page, text=session.session_id)
        time = clock([0, *(read.t_ns for read in session.reads)])
        left, width, places, pauses = page.js(
            "const host = document.querySelector('.host'), x = (n, a) => Number(n.getAttribute(a));"
            "const left = x(host, 'x1');"
            "return [left, x(host, 'x2') - left,"
            " [...document.querySelectorAll('.item[data-kind=read]')]"
            "   .map(item => x(item.querySelector('line'), 'x1')),"
            " [...document.querySelectorAll('.pause + text')].map(t => t.textContent)];"
        )
        expected = [left + width * time(read.t_ns) for read in session.reads]
        assert places == pytest.approx(expected, abs=0.6), session.session_id
        lasting = [float(pause.removesuffix(" ms")) for pause in pauses]
        assert lasting == pytest.approx([b.lasts_ns / 1e6 for b in time.breaks], abs=0.051)
        words = page.js(
            "return [...document.querySelectorAll('.layers .quiet.end')].map(t => t.textContent)"
        )
        shortened = "; idle spans are shortened" * bool(time.breaks)
        assert f"ms since the first write{shortened}" in words, session.session_id


def test_no_line_runs_through_a_segments_size(page, tmp_path):
    """The sizes of segments are drawn above all of their lines, and fade with them."""
    page.open(built(tmp_path / "run", [simulated(1)], command="run", scenarios=()))
    assert page.js(
        "const lines = [...document.querySelectorAll('.item[data-kind=segment] .line')];"
        "const sizes = [...document.querySelectorAll('.layers .label')];"
        "const follows = (a, b) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING;"
        "return [lines.length === sizes.length, lines.length > 1,"
        " sizes.every(size => lines.every(line => follows(line, size)))];"
    ) == [True, True, True]
    page.js("document.querySelector('.item[data-kind=segment]').focus()")
    assert page.js("return document.querySelectorAll('.above').length") > 1
    assert page.js("return document.querySelectorAll('.above.on.chosen').length") == 1


def test_a_session_of_many_writes_is_shown_in_part(page, tmp_path):
    """Of 65 536 writes a thousand are drawn, soon, and the page says how far it goes."""
    number = 65_536
    writes = tuple(Write(i * 1000, i * 7, i * 7 + 7) for i in range(number))
    session = record(
        session_id="many",
        payload_bytes=7 * number,
        writes=writes,
        segments=tuple(Segment(w.t_ns, w.t_ns + 70 * MS, w.start, w.end) for w in writes),
        reads=(Read(200 * MS, 0, 7 * number),),
    )
    page.open(built(tmp_path / "run", [session], scenarios=(), command="run"))
    words = page.text("#session-words")
    assert f"{number} writes, {number} segments, 1 read" in words
    assert f"Only the first 7000 of {7 * number} bytes are shown here" in words
    items = "return document.querySelectorAll('.item[data-kind=' + arguments[0] + ']').length"
    assert [page.js(items, kind) for kind in ("write", "segment", "read")] == [1000, 1000, 1]
    page.js("document.querySelector('.item[data-kind=write]').focus()")
    assert panel(page)[""] == f"Write 1 of {number}"


def test_hostile_strings_never_run(page, tmp_path):
    """Stored strings with markup, in every column, are shown as they are."""
    odd = simulated(
        1, session_id=HOSTILE, scenario=HOSTILE, sender=HOSTILE, network=HOSTILE, reader=HOSTILE,
        style=HOSTILE, variant=HOSTILE, captures=Captures("javascript:alert(1)", "wire/../x"),
    )  # fmt: skip
    lost = (
        altered(odd.segments[0], t_arrived_ns=None, drop_reason=HOSTILE),
        *odd.segments[1:],
    )
    odd = replace(odd, segments=lost, parameters=json.dumps({HOSTILE: HOSTILE}))
    dead = replace(odd, session_id="z", status="failed", error=HOSTILE, sender="other",
                   network="other")  # fmt: skip
    path = built(tmp_path / "run", [odd, dead], command="run",
                 scenarios=(Experiment(HOSTILE, HOSTILE),))  # fmt: skip
    page.open(path)
    assert page.text("#session-title") == HOSTILE
    page.js("document.querySelector('.item[data-kind=segment]').focus()")
    assert panel(page)["on the way"] == f"lost: {HOSTILE}"
    choose(page, verdict="failed")
    assert page.text("#session-error") == HOSTILE
    assert page.js("return [document.title, document.scripts.length]") == [
        "1 of 2 sessions complete - seglab run",
        2,
    ]
    assert page.js("return document.querySelectorAll('#explorer img, #explorer b').length") == 0
    assert page.js("return document.querySelectorAll('#session-captures a').length") == 0


def test_a_cell_of_the_matrix_shows_its_sessions(page, tmp_path):
    """In the table beside the heat map a cell is a button that filters the sessions."""
    sessions = [
        simulated(k, sender=s, network=n, scenario="matrix", session_id=f"{s}.{n}.{k}")
        for s in ("relay", "bot")
        for n in ("gprs", "pppoe")
        for k in range(3)
    ]
    path = built(tmp_path / "run", sessions, command="run", scenarios=(Experiment("matrix"),))
    page.open(path)
    page.js("document.querySelector('td[data-sender=bot][data-network=gprs] button').click()")
    page.driver.execute_async_script("setTimeout(arguments[0], 20)")
    assert page.text("#count") == "3 of 12 sessions"
    assert page.text("#session-title") == "bot.gprs.0"
