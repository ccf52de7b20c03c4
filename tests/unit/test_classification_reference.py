"""What a reference names, told from its form alone."""

import pytest

from seglab.classification.reference import BuiltIn, Program, PythonCallable, parse
from seglab.classification.registry import classifier, of_callable
from seglab.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("boundaries", BuiltIn("boundaries")),
        ("", BuiltIn("")),
        ("my.rules:classify", PythonCallable("my.rules", "classify")),
        ("rules:Table.classify", PythonCallable("rules", "Table.classify")),
        ("rules:", PythonCallable("rules", "")),
        ("cmd:./classify.pl --strict", Program("./classify.pl --strict")),
        ("cmd:python -c 'a:b'", Program("python -c 'a:b'")),
        ("cmd:", Program("")),
        ("cmd", BuiltIn("cmd")),
        ("my.cmd:x", PythonCallable("my.cmd", "x")),
    ],
)
def test_forms(text: str, expected: object) -> None:
    """A prefix makes a program, a colon a callable of Python, and all else is a built-in's name."""
    assert parse(text) == expected


def test_a_program_is_not_loaded() -> None:
    """Where a classifier is called in this process, a program is refused, and not imported."""
    with pytest.raises(InputError, match="'cmd:Cmd' is a program, which cannot be called"):
        classifier("cmd:Cmd")


def test_a_callable_stands_for_itself() -> None:
    """A function or a classifier may stand wherever a reference may."""

    def relay(_observation: object) -> str:
        """Always the same."""
        return "relay"

    one = classifier(relay)
    assert (one.name, one.summary) == ("relay", "Always the same.")
    assert classifier(one) is one
    assert of_callable(relay, "mine").name == "mine"
