"""The report's page in a real browser: what it shows of a session is what was recorded."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace as altered
from report_pages import built, choose, panel
from selenium.common.exceptions import WebDriverException
from synthetic import MS, reads_of, record, simulated

from seglab.core.record import Captures, MtuChange, SessionRecord
from seglab.core.trace import Segment, sizes
from seglab.reproduction.paper import paper
from seglab.runs.folder import RunFolder

SESSIONS = 1000
LOAD_LIMIT_MS = 10_000
"""What even a busy machine can do; the measured time is printed, and 2 000 is the aim."""


def lossy() -> SessionRecord:
    """A session with a loss, a retransmission, a change of the MTU, and its captures."""
    plain = record(session_id="scenario-1.lossy.0000", network="lossy", sender="bad <b>sender</b>")
    first, *others = plain.segments
    return replace(
        plain,
        segments=(
            altered(first, t_arrived_ns=None, dropped=True, drop_reason="core: loss"),
            *others,
            Segment(300 * MS, 371 * MS, 0, 1440, retransmission=True),
        ),
        reads=reads_of([5120], at_ns=372 * MS),
        mtu_changes=(MtuChange(-MS, 1480), MtuChange(200 * MS, 1500)),
        captures=Captures("wire/a b.client.pcapng", "wire/a b.server.pcapng"),
    )


def run_of_many() -> list[SessionRecord]:
    """As many sessions of the paper's experiments, two networks, with losses and failures."""
    experiments = [(n, s, i) for i in range(SESSIONS) for n, s in paper().scenarios.items()]
    records = [lossy()]
    for n, scenario, i in experiments[: SESSIONS - 3]:
        records.append(
            simulated(
                i,
                scenario.writes,
                scenario.gap_ms or 0,
                scenario=f"scenario-{n}",
                session_id=f"scenario-{n}.raw_writes.vb2014.{i:04}",
                network="vb2014" if i % 3 else "pppoe",
            )
        )
    failed = {"status": "failed", "error": "the server died", "writes": (), "segments": ()}
    records += [record(f"scenario-2.dead.{i}", scenario="scenario-2", reads=(), **failed)
                for i in range(2)]  # fmt: skip
    return records


@pytest.fixture(scope="module")
def records() -> dict[str, SessionRecord]:
    """The stored sessions, by id."""
    return {r.session_id: r for r in run_of_many()}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, records: dict[str, SessionRecord]) -> Path:
    """The report of the run, figures in one format."""
    return built(tmp_path_factory.mktemp("run") / "run", records.values())


def ms(t_ns: int) -> str:
    """A time since the first write as the page prints it."""
    return f"{round(t_ns / 1000) / 1000:.3f} ms"


def belongs(kind: str, spans, item) -> str:
    """The writes or reads that hold bytes of an item, in the page's words."""
    shared = [
        f"{kind} {i + 1} ({s.start}:{s.end})"
        for i, s in enumerate(spans)
        if max(s.start, item.start) < min(s.end, item.end)
    ]
    return ", ".join(shared)


def facts_of(session: SessionRecord, index: int) -> dict[str, str]:
    """What the panel has to say about a segment that arrived, from the record alone."""
    segment, zero = session.segments[index], session.writes[0].t_ns
    sent, arrived = segment.t_sent_ns - zero, segment.t_arrived_ns - zero
    return {
        "": f"Segment {index + 1} of {len(session.segments)}",
        "bytes": f"{segment.start}:{segment.end} ({segment.end - segment.start})",
        "sent": ms(sent),
        "arrived": ms(arrived),
        "written by": belongs("write", session.writes, segment),
        "read by": belongs("read", session.reads, segment),
    }


def test_a_thousand_sessions_load_in_time(page, report, capsys):
    """All are there soon after the navigation began; the time is printed."""
    page.open(report)
    ready_ms = page.js("return performance.getEntriesByName('seglab-ready')[0].startTime")
    loaded_ms = page.js("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    size_mb = report.stat().st_size / 1e6
    with capsys.disabled():
        print(f"\nreport of {SESSIONS} sessions, {size_mb:.1f} MB:"
              f" usable after {ready_ms:.0f} ms, loaded after {loaded_ms:.0f} ms")  # fmt: skip
    assert page.text("#count") == f"{SESSIONS} of {SESSIONS} sessions"
    assert max(ready_ms, loaded_ms) < LOAD_LIMIT_MS


def test_the_list_scrolls_with_few_nodes(page, report, capsys):
    """Wherever it is scrolled to, the rows that are seen exist, and few others; frames go on."""
    page.open(report)
    frames = page.driver.execute_async_script(
        """
        const done = arguments[0];
        const list = document.getElementById('list'), times = [];
        let step = 0;
        const turn = (now) => {
          times.push(now);
          list.scrollTop += 400;
          if (++step < 60) requestAnimationFrame(turn); else done(times);
        };
        requestAnimationFrame(turn);
        """
    )
    gaps = sorted(b - a for a, b in pairwise(frames))
    with capsys.disabled():
        print(f"\nscrolling: {gaps[len(gaps) // 2]:.0f} ms a frame (median), {gaps[-1]:.0f} worst")
    shown = page.driver.execute_async_script(
        "const done = arguments[0], list = document.getElementById('list');"
        "list.scrollTop = 500 * list.querySelector('.row').offsetHeight;"
        "requestAnimationFrame(() => requestAnimationFrame(() => done("
        " [...document.querySelectorAll('.row')].map(r => [Number(r.dataset.position),"
        "  r.querySelector('.row-id').textContent]))));"
    )
    stored = [r.session_id for r in RunFolder.open(report.parent).sessions()]
    assert len(shown) < 40
    assert {500, 505} <= {position for position, _ in shown}
    assert all(stored[position] == name for position, name in shown)


def test_pointing_at_a_segment_tells_its_write_and_read(page, report, records):
    """Each box of the wire's strip, under a mouse, says what the record says of that segment."""
    page.open(report)
    some = [r for r in records.values() if r.scenario == "scenario-3" and len(r.reads) > 3][:2]
    for session in some:
        choose(page, text=session.session_id)
        assert page.text("#session-title") == session.session_id
        for index in range(len(session.segments)):
            page.hover(*page.centre(f".item[data-kind=segment][data-index='{index}'] .edge"))
            found, expected = panel(page), facts_of(session, index)
            assert {name: found[name] for name in expected} == expected


def test_pointing_between_the_hosts_finds_the_nearest_line(page, report, records):
    """A place on a segment's line, away from the others, chooses that segment."""
    session = next(r for r in records.values() if r.scenario == "scenario-3")
    page.open(report)
    choose(page, text=session.session_id)
    for index in (0, len(session.segments) - 1):
        x, y = page.js(
            "const line = document.querySelector("
            "  `.item[data-kind=segment][data-index='${arguments[0]}'] .line`);"
            "line.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = line.ownerSVGElement.getBoundingClientRect();"
            "const n = (name) => Number(line.getAttribute(name));"
            "return [b.left + (n('x1') + n('x2')) / 2, b.top + (n('y1') + n('y2')) / 2];",
            index,
        )
        page.hover(x, y)
        assert panel(page)[""] == f"Segment {index + 1} of {len(session.segments)}"


def test_a_tap_keeps_a_segment(page, report, records):
    """On a phone a tap chooses, stays, and a second tap lets go."""
    session = next(r for r in records.values() if r.scenario == "scenario-2" and r.complete)
    page.look(390, 844, touch=True)
    page.open(report)
    choose(page, text=session.session_id)
    place = page.centre(".item[data-kind=segment][data-index='2'] .edge")
    page.tap(*place)
    expected = facts_of(session, 2)
    assert {name: panel(page)[name] for name in expected} == expected
    chosen = "return document.querySelectorAll('.item[aria-selected=true]').length"
    assert page.js(chosen) == 1
    page.tap(*place)
    assert page.js(chosen) == 0


def test_a_lost_segment_says_so(page, report):
    """Loss and its reason, retransmission, the MTU in force, and links to both captures."""
    page.open(report)
    choose(page, network="lossy")
    page.js("document.querySelector('.item[data-kind=segment]').focus()")
    assert (panel(page)["arrived"], panel(page)["on the way"]) == ("never", "lost: core: loss")
    page.js("document.querySelector('.item[data-kind=segment][data-index=\"4\"]').focus()")
    assert "retransmission" in panel(page)["flags"]
    marks = page.js("return [...document.querySelectorAll('.mtu')].map(t => t.textContent)")
    assert marks == ["MTU 1480 since -0.001 s", "MTU 1500"]
    links = page.js(
        "return [...document.querySelectorAll('#session-captures a')]"
        "   .map(a => a.getAttribute('href'))"
    )
    assert links == ["wire/a%20b.client.pcapng", "wire/a%20b.server.pcapng"]


def test_the_keyboard_reaches_everything(page, report, records):
    """Arrows walk the list; Tab enters the layers; arrows walk them and cross between them."""
    page.open(report)
    stored = [r.session_id for r in RunFolder.open(report.parent).sessions()]
    page.js("document.getElementById('list').focus()")
    page.key("End")
    assert page.text("#session-title") == stored[-1]
    page.key("Home")
    page.key("ArrowDown")
    assert page.text("#session-title") == stored[1]
    active = page.js(
        "const list = document.getElementById('list');"
        "return document.getElementById(list.getAttribute('aria-activedescendant')).textContent"
    )
    assert stored[1] in active
    session = records[stored[1]]
    page.key("Tab")
    assert panel(page)[""] == "Write 1 of 1"
    page.key("ArrowDown")
    page.key("ArrowRight")
    expected = facts_of(session, 1)
    assert {name: panel(page)[name] for name in expected} == expected
    label = page.js("return document.activeElement.getAttribute('aria-label')")
    assert label.startswith(f"Segment 2 of 4: bytes {session.segments[1].start}:")
    page.key("ArrowDown")
    assert panel(page)[""].startswith("Read ")
    page.key("Enter", text="\r")
    assert page.js("return document.activeElement.getAttribute('aria-selected')") == "true"
    page.key("Escape")
    assert page.js("return document.querySelectorAll('[role=option].on').length") == 0


@pytest.mark.parametrize(
    ("wanted", "accepts"),
    [
        ({"scenario": "scenario-2"}, lambda r: r.scenario == "scenario-2"),
        ({"network": "pppoe"}, lambda r: r.network == "pppoe"),
        ({"sender": "bad <b>sender</b>"}, lambda r: r.network == "lossy"),
        ({"verdict": "failed"}, lambda r: not r.complete),
        (
            {"verdict": "as published", "scenario": "scenario-1"},
            lambda r: (
                r.scenario == "scenario-1"
                and tuple(sizes(r.reads)) in paper().scenarios[1].sessions
            ),
        ),
        ({"troubled": "yes"}, lambda r: any(s.dropped or s.retransmission for s in r.segments)),
        (
            {"text": "1440 2240"},
            lambda r: any(
                a == 1440 and b == 2240
                for layer in (sizes(r.reads), sizes(r.segments))
                for a, b in pairwise(layer)
            ),
        ),
    ],
    ids=["experiment", "network", "sender", "failed", "published", "loss", "sizes"],
)
def test_filters_count_what_the_run_holds(page, report, records, wanted, accepts):
    """The number beside the filters is that of the stored sessions that they describe."""
    expected = sum(map(accepts, records.values()))
    assert 0 < expected < SESSIONS
    page.open(report)
    choose(page, **wanted)
    assert page.text("#count") == f"{expected} of {SESSIONS} sessions"
    assert page.js("return document.getElementById('list').querySelector('.row') !== null")


def test_no_match_is_said_and_all_come_back(page, report):
    """Nothing found leaves an empty list; the button shows all again."""
    page.open(report)
    choose(page, text="no such session")
    assert page.text("#count") == f"0 of {SESSIONS} sessions"
    page.js("document.querySelector('#filters [type=reset]').click()")
    page.driver.execute_async_script("setTimeout(arguments[0], 0)")
    assert page.text("#count") == f"{SESSIONS} of {SESSIONS} sessions"


def test_a_figure_has_the_ground_of_the_page(page, report):
    """In either colour scheme: its picture has no ground, nor has anything around it."""
    for scheme in ("light", "dark"):
        page.look(scheme=scheme)
        page.open(report)
        grounds = page.js(
            "return ['figure', 'figure .scroll', 'figure img'].map(s =>"
            " getComputedStyle(document.querySelector(s)).backgroundColor)"
        )
        assert grounds == ["rgba(0, 0, 0, 0)"] * 3
        assert page.js("return !atob(document.querySelector('figure img').src.split(',')[1])"
                       ".includes('id=\"ground\"')")  # fmt: skip


@pytest.mark.parametrize(("width", "hint"), [(390, True), (1280, False)])
def test_a_figure_that_is_cut_says_so(page, report, width, hint):
    """Where a figure is wider than its box, a line above it says how to see the rest."""
    page.look(width, 800, touch=hint)
    page.open(report)
    wider, shown = page.js(
        "const box = document.querySelector('figure .scroll');"
        "const line = getComputedStyle(box, '::before');"
        "return [box.scrollWidth > box.clientWidth, line.display !== 'none' && line.content];"
    )
    assert wider is hint
    assert bool(shown and "move it sideways" in shown) is hint


def test_text_has_contrast_in_both_schemes(page, report):
    """Everything that is read has at least 4.5 : 1 (WCAG 2 AA), light and dark; they differ."""
    grounds = set()
    for scheme in ("light", "dark"):
        page.look(scheme=scheme)
        page.open(report)
        page.js("document.querySelector('.item[data-kind=segment]').focus()")
        found = page.js(
            """
            const channels = (c) => c.match(/[\\d.]+/g).map(Number);
            const light = (c) => {
              const [r, g, b] = channels(c).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ground = (n) => {
              for (; n; n = n.parentElement) {
                const c = getComputedStyle(n).backgroundColor, parts = channels(c);
                if (parts.length < 4 || parts[3] > 0) return c;
              }
              return 'rgb(255, 255, 255)';
            };
            const worst = [];
            for (const n of document.querySelectorAll(
                'h1, h2, h3, h4, p, a, td, th, dt, dd, span, label, select, button, output,'
                + 'figcaption, summary, .layers text')) {
              if (!n.textContent.trim() || !n.checkVisibility()) continue;
              const style = getComputedStyle(n), inSvg = n.ownerSVGElement;
              if (inSvg && n.classList.contains('size')) continue;
              const ink = inSvg ? style.fill : style.color;
              const [a, b] = [light(ink), light(ground(n))].sort((x, y) => y - x);
              worst.push([(a + 0.05) / (b + 0.05), n.tagName, n.textContent.slice(0, 30)]);
            }
            worst.sort((x, y) => x[0] - y[0]);
            return [ground(document.body), worst[0], worst.length];
            """
        )
        grounds.add(found[0])
        assert found[2] > 100
        assert found[1][0] >= 4.5, found[1]
    assert len(grounds) == 2


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_hangs_over_the_edge_of_a_phone(page, report, width):
    """The page itself never scrolls sideways; wide figures and tables do so in their own boxes."""
    page.look(width, 800, touch=True)
    page.open(report)
    page.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.js("return document.documentElement.scrollWidth") <= width


def test_the_layers_follow_the_window(page, report):
    """Turned to another width, the drawing is drawn again and fits, the choice kept."""
    page.open(report)
    page.js("document.querySelector('.item[data-kind=segment]').dispatchEvent(new KeyboardEvent("
            "'keydown', {key: 'Enter', bubbles: true}))")  # fmt: skip
    page.look(600, 900)
    fits = page.driver.execute_async_script(
        "const done = arguments[0], stage = document.getElementById('stage');"
        "const look = () => {"
        "  const wide = stage.firstChild.width.baseVal.value;"
        "  if (Math.abs(wide - stage.clientWidth) < 2) done([wide, innerWidth]);"
        "  else requestAnimationFrame(look);"
        "};"
        "look();"
    )
    assert fits[0] < fits[1]
    assert panel(page)[""].startswith("Segment 1 ")


def test_motion_stops_for_those_who_ask(page, report):
    """With prefers-reduced-motion nothing fades or glides."""
    page.cdp("Emulation.setEmulatedMedia",
             features=[{"name": "prefers-reduced-motion", "value": "reduce"}])  # fmt: skip
    page.open(report)
    found = page.js(
        "return [getComputedStyle(document.querySelector('.item')).transitionDuration,"
        " getComputedStyle(document.documentElement).scrollBehavior]"
    )
    assert found == ["0s", "auto"]


def test_without_scripts_figures_and_tables_stay(page, report):
    """With JavaScript off the verdict, the table and the figures show, and a line says why."""
    page.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(report)
        nodes = page.cdp("DOM.getDocument", depth=-1)["root"]["nodeId"]

        def shown(selector):
            node = page.cdp("DOM.querySelector", nodeId=nodes, selector=selector)["nodeId"]
            try:
                return bool(page.cdp("DOM.getBoxModel", nodeId=node))
            except WebDriverException:  # the answer for a node that has no box
                return False

        assert shown("h1")
        assert shown("table.cards")
        assert shown("figure img")
        assert shown("noscript p")
        assert not shown("#explorer")
    finally:
        page.cdp("Emulation.setScriptExecutionDisabled", value=False)
