"""The checks of ``seglab.regress``: each finds its fault, and none in a good classifier."""

import sys
from dataclasses import replace
from io import StringIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec.structs import replace as altered
from regressing import session, sessions
from rich.console import Console
from synthetic import MS

from seglab.classification.classifier import Classifier, Verdict
from seglab.classification.registry import as_verdict, of_callable
from seglab.core.observation import Observation
from seglab.core.trace import Read
from seglab.errors import InputError
from seglab.regress import known
from seglab.regress.case import Case
from seglab.regress.checks import CHECKS, chosen
from seglab.regress.judgement import Settings
from seglab.regress.junit import to_junit
from seglab.regress.page import page
from seglab.regress.run import run
from seglab.regress.terminal import cell_text, check_letters, finding_text, marks_words, show
from seglab.runners.local import LocalRunner


def regress(function, records=None, checks=(), **settings):
    """The result of a classifier given as a function that returns what a user's may return."""
    one = Classifier("mine", "", lambda o: as_verdict(o, function(o)))
    cases = [Case.of_record(r, "segments") for r in (records or sessions())]
    return run(cases, LocalRunner(one), chosen(checks), settings=Settings(**settings))


def states(result):
    return {outcome.name: outcome.state for outcome in result.outcomes}


def honest(observation):
    """Sizes against the MSS: a short first one is a relay; one lone size may be anything."""
    if len(observation.sizes) < 4 and observation.layer == "reads":
        return None
    first, mss = observation.sizes[0], observation.mss
    short = [s for s in observation.sizes[:-1] if s % mss]
    again = observation.retransmission and any(observation.retransmission)
    if again or len(short) > 1 or observation.layer == "reads":
        return None
    return "relay" if first < mss else "single_write"


def table(observation):
    """Sizes learned on the wide network, by heart."""
    return "single_write" if observation.sizes[0] == 1448 else "relay"


def test_honest_classifier_passes() -> None:
    """Rules that look at sizes against the MSS break no check."""
    result = regress(honest)
    assert states(result).pop("terminator_ignores_mtu") == "not judged"
    assert set(states(result).values()) == {"passed", "not judged"}, result.findings
    assert result.good
    assert result.sessions == 30


def test_learned_mtu_is_caught() -> None:
    """A table of sizes is caught, where the style changes and with both sizes side by side."""
    result = regress(table)
    assert states(result)["label_ignores_mtu"] == "failed"
    found = [f for f in result.findings if f.check == "label_ignores_mtu"]
    assert {(f.network, f.style) for f in found} == {
        ("middle", "single_write"), ("narrow", "single_write"),
    }  # fmt: skip
    smallest = found[0]
    assert [side.network for side in smallest.sides] == ["wide", "middle"]
    assert smallest.sides[0].sizes == (1448, 1448, 1448, 656)
    assert smallest.sides[1].sizes == (1228, 1228, 1228, 1228, 88)
    assert smallest.writes == (5000,)
    assert not result.good


def asked(network, style, lengths, repeat=0, sha="a"):
    """A session of a program that was asked to send its message number ``repeat``."""
    one = session(network, style, lengths)
    return replace(
        one, kind="program", sender="mailer", message="text", repeat=repeat, payload_sha256=sha * 64
    )


def test_programs_are_compared_by_what_they_were_asked_to_send() -> None:
    """A program's bytes may differ, by a date in them, where program and message are the same."""
    records = [
        asked("wide", "single_write", [5000], sha="a"),
        asked("middle", "single_write", [5000], sha="b"),
        session("wide", "single_write", [5000]),
        session("middle", "single_write", [5000]),
    ]
    result = regress(table, records, ["label_ignores_mtu"])
    (outcome,) = result.outcomes
    assert outcome.pairings == {"program": 2, "writes": 2}
    words = {f.words.rpartition(": ")[2] for f in outcome.findings}
    assert words <= {
        "same program, same message, same boundaries visible",
        "same bytes, same writes, same boundaries visible",
    }
    found = regress(table, records[:2], ["label_ignores_mtu"]).findings
    assert [f.words.rpartition(": ")[2] for f in found] == [
        "same program, same message, same boundaries visible"
    ]
    console = Console(file=StringIO(), width=200)
    show(result, console)
    assert "compared 2 sessions by program and message, 2 by bytes and writes" in (
        console.file.getvalue()
    )


def test_other_messages_and_styles_of_a_program_are_not_compared() -> None:
    """Where a program wrote otherwise over another network, nothing says its label is to stay."""
    records = [
        asked("wide", "single_write", [5000]),
        asked("middle", "single_write", [5000], repeat=1),
        asked("narrow", "fixed_buffer", [2048, 2048, 904]),
    ]
    (outcome,) = regress(table, records, ["label_ignores_mtu"]).outcomes
    assert (outcome.judged, outcome.exempt, outcome.pairings) == (0, 3, {})


def test_lost_boundaries_are_exempt() -> None:
    """A boundary that falls on a full segment's end is no evidence, and asks for nothing."""
    records = [
        session("wide", "relay", [1448, 3000]),
        session("middle", "relay", [1448, 3000]),
    ]
    result = regress(table, records, ["label_ignores_mtu"])
    (outcome,) = result.outcomes
    assert (outcome.judged, outcome.exempt) == (0, 2)


def test_a_case_has_what_its_layer_shows() -> None:
    """A boundary within a read is not visible there, and reads may always hold something else."""
    one = session("wide", "fixed_buffer", [2048, 2048, 904])
    case = Case.of_record(one, "segments")
    assert case.visible_boundaries == {2048, 4096}
    assert case.only_boundaries_visible
    joined = replace(one, reads=(Read(9 * MS, 0, 1448), Read(9 * MS, 1448, 4096),
                                 Read(9 * MS, 4096, 5000)))  # fmt: skip
    case = Case.of_record(joined, "reads")
    assert case.visible_boundaries == {4096}
    assert not case.only_boundaries_visible


def test_sets_agree_that_intersect() -> None:
    """An answer of several styles contradicts none of them, and an abstention nothing."""

    def answer(observation):
        if observation.mss == 524:
            return ["relay", "single_write"]
        if observation.mss == 1228:
            return None
        return honest(observation)

    assert states(regress(answer))["label_ignores_mtu"] == "passed"


def test_terminator_is_checked_by_itself() -> None:
    """The style may be stable while the terminator follows the MTU."""

    def answer(observation):
        small = observation.mss < 1000
        return {"style": honest(observation), "terminator": "own_write" if small else "with_body"}

    found = states(regress(answer))
    assert found["label_ignores_mtu"] == "passed"
    assert found["terminator_ignores_mtu"] == "failed"


def test_silence_elsewhere_is_found() -> None:
    """A classifier that knows one network and is silent on the others is caught by itself."""
    result = regress(lambda o: honest(o) if o.mss == 1448 else None)
    assert states(result)["label_ignores_mtu"] == "not judged"
    assert states(result)["answers_ignore_mtu"] == "failed"
    found = [f for f in result.findings if f.check == "answers_ignore_mtu"]
    assert {f.network for f in found} == {"middle", "narrow"}
    assert [side.answer for side in found[0].sides] == ["single_write", "abstains"]


def test_silence_after_new_cuts_is_right() -> None:
    """Where the path cut segments again, silence is no finding: more is to be seen there."""
    plain = session("wide", "relay", [150, 5000])
    cut = session("middle", "relay", [150, 5000])
    first, second, *rest = cut.segments
    pieces = [
        altered(second, end=second.start + 400),
        altered(second, start=second.start + 400),
    ]
    cut = replace(cut, segments=(first, *pieces, *rest))
    checks = ["answers_ignore_mtu"]
    silent = regress(lambda o: "relay" if o.mss == 1448 else None, [plain, cut], checks)
    assert (silent.outcomes[0].judged, silent.outcomes[0].exempt) == (0, 2)


def test_reads_may_be_passed_over() -> None:
    """A read may hold several segments: silence on it is not held against a classifier."""
    wide, middle = (
        session("wide", "single_write", [5000]),
        session("middle", "single_write", [5000]),
    )
    middle = replace(middle, reads=(Read(2 * MS, 0, 5000),))
    one = of_callable(lambda o: "single_write" if o.mss == 1448 else None)
    cases = [Case.of_record(r, "reads") for r in (wide, middle)]
    result = run(cases, LocalRunner(one), chosen(["answers_ignore_mtu"]))
    assert (result.outcomes[0].judged, result.outcomes[0].exempt) == (0, 2)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"style": "relais"}, "unknown style 'relais'; did you mean 'relay'?"),
        ({"style": "relay", "terminator": "own"}, "unknown terminator 'own'"),
        ({"style": "relay", "path_condition": "x"}, "unknown path condition 'x'"),
        ({"style": "relay", "boundaries": (0,)}, "boundary 0 lies outside"),
        ({"style": "relay", "boundaries": (20, 10)}, "boundary 10 follows boundary 20"),
        ({"style": "relay", "boundaries": (9_999_999,)}, "boundary 9999999 lies outside"),
        ({"style": "relay", "confidence": 1.5}, "confidence 1.5"),
        ({"style": "relay", "confidence": float("nan")}, "confidence nan"),
        ({"style": "relay", "recut": ((30, 20),)}, "recut 30:20"),
        ({"style": "relay", "buffer": 0}, "buffer 0"),
    ],
)
def test_invalid_verdicts(answer, words) -> None:
    """Each kind of impossible answer is a finding of one line."""
    result = regress(lambda _: answer, checks=["valid_verdicts"])
    assert states(result) == {"valid_verdicts": "failed"}
    assert words in result.findings[0].words


def test_raising_is_a_finding_and_no_end() -> None:
    """A classifier that raises now and then gets a finding, and the other answers are judged."""

    def answer(observation):
        if observation.mss == 524:
            raise KeyError("no such size\x1b[31m")
        return honest(observation)

    result = regress(answer)
    assert states(result)["answers"] == "failed"
    (finding, *_) = result.findings
    assert "KeyError" in finding.words
    assert "\x1b" not in finding.words
    assert states(result)["label_ignores_mtu"] == "passed"


def test_nondeterminism_is_found() -> None:
    """An answer that depends on what was asked before is found."""
    count = iter(range(10**9))
    result = regress(lambda _: ("relay", "single_write")[next(count) % 7 == 0])
    assert states(result)["deterministic"] == "failed"


def test_guessing_on_noise_is_found() -> None:
    """A classifier that always names one style is found to guess; one that is unsure is not."""
    assert states(regress(lambda _: "relay"))["abstains_on_noise"] == "failed"
    unsure = {"style": "relay", "confidence": 0.2}
    assert states(regress(lambda _: unsure))["abstains_on_noise"] == "passed"
    unsure["confidence"] = 0  # which is given, and is not much
    assert states(regress(lambda _: unsure))["abstains_on_noise"] == "passed"


def test_all_styles_at_once_are_an_abstention() -> None:
    """An answer that excludes no style is not counted as right."""
    from seglab.core.labels import STYLES  # noqa: PLC0415

    result = regress(lambda _: STYLES)
    assert {score.right for score in result.scores.values()} == {0}
    assert {score.abstained for score in result.scores.values()} == {10}


def test_silence_everywhere_is_found() -> None:
    """A classifier that never answers breaks nothing else, but fails the check of its accuracy."""
    found = states(regress(lambda _: None))
    assert found.pop("accuracy") == "failed"
    assert "failed" not in found.values()


def test_accuracy_against_a_constant_answer() -> None:
    """Less often right than one constant answer is a finding; as often is none."""
    wrong = {"relay": "single_write", "single_write": "relay"}
    inverted = regress(lambda o: wrong[honest(o)], checks=["accuracy"])
    assert states(inverted) == {"accuracy": "failed"}
    assert "0 of 10 answers hold the truth" in inverted.findings[0].words
    assert states(regress(lambda _: "relay", checks=["accuracy"])) == {"accuracy": "passed"}


@pytest.mark.parametrize(("columns", "framed"), [(30, False), (120, True)])
def test_a_narrow_terminal_is_shown_whole_words(columns: int, framed: bool) -> None:
    """Where a table would be cut to dots, each row is a line of its own, as in a pipe."""
    output = StringIO()
    console = Console(file=output, force_terminal=True, color_system=None, width=columns)
    show(regress(honest), console)
    text = output.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "stable_under_retransmission" in text
    assert ("\t" not in text) == framed


def test_a_matrix_that_is_too_wide_is_shown_in_parts() -> None:
    """Every MTU has its column in one of them, and no line is longer than the terminal."""
    mtus = [1000 + 100 * i for i in range(12)]
    result = regress(learned)
    cells = {("relay", mtu): next(iter(result.cells.values())) for mtu in mtus}
    output = StringIO()
    console = Console(file=output, force_terminal=True, color_system=None, width=80)
    show(replace(result, cells=cells), console)
    lines = output.getvalue().splitlines()
    heads = [line.split()[4:] for line in lines if "% right, by MTU" in line]
    assert len(heads) > 1
    assert [mtu for head in heads for mtu in head] == [str(mtu) for mtu in mtus]
    assert not any("\t" in line for line in lines)
    assert max(map(len, lines[1:-1])) <= 80


def on_terminal(result, **options) -> list[str]:
    """The lines that a terminal of 120 columns gets."""
    output = StringIO()
    console = Console(file=output, force_terminal=True, color_system=None, width=120)
    show(result, console, **options)
    return output.getvalue().splitlines()


def learned(observation: Observation) -> str:
    """Has learned the MSS: everything short is a relay."""
    return "single_write" if observation.mss == 1448 else "relay"


def test_a_terminal_gets_the_verdict_first_and_last() -> None:
    """In at most 40 lines, with one example; what is left out comes with ``verbose``."""
    result = regress(learned)
    lines = on_terminal(result)
    assert len(lines) <= 40
    assert lines[0] == lines[-1]
    assert lines[0].startswith(result.headline)
    assert sum("smallest example" in line for line in lines) == 1
    for name in result.broken:
        assert any(line.startswith(f"{name}: ") for line in lines)
    assert any(line.startswith("-v prints") for line in lines)
    more = on_terminal(result, verbose=True)
    assert len(more) > len(lines)
    assert more[0] == more[-1] == lines[0]
    assert not any(line.startswith("-v prints") for line in more)


def test_a_mark_in_the_matrix_says_which_checks_broke() -> None:
    """Each letter of a cell is explained below the matrix, and stands for a check that broke."""
    result = regress(learned)
    letters = check_letters(result)
    assert set(letters) == {name for cell in result.cells.values() for name in cell.checks}
    assert "label_ignores_mtu" in letters
    for name, letter in letters.items():
        assert f"{letter} {name}" in marks_words(result)
    for cell in result.cells.values():
        marks = cell_text(cell, letters).partition("!")[2]
        assert marks == "".join(sorted(letters[name] for name in cell.checks))
    assert marks_words(regress(honest)) == ""
    assert marks_words(result).capitalize() in page(result).decode()


def test_emoji_codes_stay_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A name such as cmd:cat: is printed as it is."""
    show(replace(regress(honest), classifier="cmd:cat"))
    assert "cmd:cat: no regression" in capsys.readouterr().out


def test_offload_and_retransmission_are_found() -> None:
    """Counting segments is not stable under offload, nor trusting each end under resending."""
    counting = regress(lambda o: "single_write" if len(o.sizes) > 3 else "relay")
    assert states(counting)["stable_under_offload"] == "failed"
    trusting = regress(
        lambda o: "relay" if any(s % o.mss for s in o.sizes[:-1]) else "single_write"
    )
    assert states(trusting)["stable_under_retransmission"] == "failed"


def test_hanging_classifier_keeps_what_was_answered() -> None:
    """After the time limit nothing more is asked, and what was answered is judged."""
    asked = []

    def answer(observation):
        asked.append(observation)
        while len(asked) == 20:
            pass
        return table(observation)

    one = Classifier("mine", "", lambda o: as_verdict(o, answer(o)))
    cases = [Case.of_record(r, "segments") for r in sessions()]
    result = run(cases, LocalRunner(one, 0.2), CHECKS)
    assert result.stopped is not None
    assert "no answer within 0.2 s to observation 20" in result.stopped
    assert states(result)["label_ignores_mtu"] == "failed"
    assert states(result)["stable_under_offload"] == "not run"
    assert result.sessions == 19


def test_unknown_check() -> None:
    """A check that does not exist is refused, with the nearest name."""
    with pytest.raises(InputError, match="did you mean 'label_ignores_mtu'"):
        chosen(["label_ignore_mtu"])


def test_verdict_form() -> None:
    """What the checks get is a verdict with tuples, about the observation that was asked."""
    shown = Case.of_record(session("wide", "relay", [150, 2000]), "segments").observation
    found = {
        "style": ["relay", "single_write"],
        "boundaries": [150],
        "explanations": [[1500, True]],
    }
    (answer,) = LocalRunner(of_callable(lambda _: found)).ask([shown])
    assert answer == Verdict(
        id=shown.id,
        style=("relay", "single_write"),
        boundaries=(150,),
        explanations=((1500, True),),
        sizes=(150, 1448, 552),
        mss=1448,
        timestamps=True,
    )


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ({"style": 5}, "style"),
        ({"style": (1, 2)}, "style"),
        ({"style": "relay", "boundaries": ("a",)}, "boundaries"),
        ({"style": "relay", "confidence": "high"}, "confidence"),
        ({"style": "relay", "boundaries": (np.int64(3),)}, "numpy"),
    ],
)
def test_values_of_other_types(verdict, words) -> None:
    """A Verdict made of other types is none: told as what it raised, and judged no further."""
    result = regress(lambda o: Verdict(id=o.id, **verdict))
    assert states(result)["answers"] == "failed"
    assert words in result.findings[0].words


def test_exiting_is_raising() -> None:
    """A classifier that calls sys.exit does not end the run."""
    result = regress(lambda _: sys.exit("enough"), checks=["answers"])
    assert "SystemExit: enough" in result.findings[0].words


def test_control_characters_are_not_printed() -> None:
    """Neither a classifier's words nor a stored session's reach the terminal as they are."""
    records = [
        replace(record, network=f"{record.network}\x1b[2J[bold]", style=f"{record.style}\x07")
        for record in sessions()
    ]
    result = regress(lambda o: f"\x1b]0;title\x07{o.mss}", records)
    for terminal in (True, False):
        output = StringIO()
        show(result, Console(file=output, force_terminal=terminal, color_system=None, width=200))
        assert set(output.getvalue()) & {"\x1b", "\x07"} == set()
        assert "[bold]" in output.getvalue()
    for finding in result.findings:
        assert finding_text(finding).replace("\n", "").isprintable()
    assert ElementTree.fromstring(to_junit(result)) is not None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"known": [], "\r\nx": 1}, "nothing else, found x, known"),
        ({"known": [{"a" * 5000: "x"}]}, "unknown key"),
        ({"known": [{"check": 10**5000}]}, "expected text, found a number of thousands of digits"),
        ({"known": [{"check": "no such\n" * 999, "reason": "x"}]}, "unknown 'no such"),
    ],
)
def test_known_failures_that_cannot_be_read(values: dict[str, Any], words: str) -> None:
    """Whatever a file holds, the error is one short line."""
    with pytest.raises(InputError, match=words) as caught:
        known.parse(values, "known.toml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
