"""The user's own mail: what is sent of it, and how a file that is no mail is refused."""

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.commands.run import tell_left_out
from seglab.errors import InputError
from seglab.execution.request import RunRequest
from seglab.experiment import registry
from seglab.experiment.plan import message, plan
from seglab.mail.message import END_OF_DATA, Message, MessageSpec
from seglab.mail.source import MailSource, read_source
from seglab.mail.stored import mail
from seglab.runs.folder import RunFolder
from seglab.sender.smtp import session
from seglab.sender.steps import Expect, Write

GOOD = b"From: <a@b.example>\nSubject: hello\n\nHello,\n.a dot\nbye\n"
MBOX = (
    b"From a@b.example Sat Feb  1 12:00:00 2014\n" + GOOD + b"\n"
    b"From c@d.example Sun Feb  2 12:00:00 2014\n"
    b"From: <c@d.example>\n\nFrom here on\n>From there\n>>From both\n\n"
)
SCENARIO = """
title = "my own mail"
networks = ["vb2014"]
sessions = 3
senders = ["single_write", "relay", "distinct_from"]
[message]
source = "mail"
"""


def problem(path: Path) -> str:
    """The one line that these files end in, without the folder before it."""
    with pytest.raises(InputError) as caught:
        read_source(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    return text.replace(f"{path.parent}/", "")


def test_a_file_is_sent_with_its_line_ends_made_crlf() -> None:
    """Header, empty line and body as they stand, each line end CRLF, dots stuffed."""
    assert mail(GOOD).wire == (
        b"From: <a@b.example>\r\nSubject: hello\r\n\r\nHello,\r\n..a dot\r\nbye\r\n.\r\n"
    )


@pytest.mark.parametrize("ends", [b"\r\n", b"\n", b"\r"])
def test_any_line_ends(ends: bytes) -> None:
    """Whatever ends the lines of the file, CRLF does on the wire (RFC 5321, 2.3.8)."""
    assert mail(GOOD.replace(b"\n", ends)) == mail(GOOD)


def test_bare_line_ends_within_a_mail() -> None:
    """A bare CR or LF in a mail with CRLF is the end of a line too: no bare one is ever sent."""
    assert mail(b"A: b\r\n\r\none\rtwo\nthree\r\r\n").body == b"one\r\ntwo\r\nthree\r\n\r\n"


def test_a_missing_last_line_end_is_added() -> None:
    """A text whose last line has no end gets one before the end of data."""
    assert mail(GOOD[:-1]) == mail(GOOD)


def test_a_mail_without_body() -> None:
    """A header block alone is a mail (RFC 5322, 3.5)."""
    assert mail(b"From: <a@b.example>\n").wire == b"From: <a@b.example>\r\n\r\n.\r\n"


def test_long_lines_of_the_body_are_cut() -> None:
    """No line above 998 bytes leaves; a space begins what was cut off, as Postfix does."""
    body = mail(b"A: b\n\n" + b"x" * 2500 + b"\nshort\n").body
    assert body == b"x" * 998 + b"\r\n " + b"x" * 997 + b"\r\n " + b"x" * 505 + b"\r\nshort\r\n"


def test_a_line_of_998_is_left_alone() -> None:
    """998 bytes is what RFC 5322, 2.1.1 allows."""
    assert mail(b"A: b\n\n" + b"x" * 998 + b"\n").body == b"x" * 998 + b"\r\n"


def test_no_character_is_cut_in_two() -> None:
    """A long line of UTF-8 is cut between characters."""
    body = mail(b"A: b\n\n" + "é".encode() * 1200 + b"\nx").body
    assert body.decode().replace("\r\n ", "") == "é" * 1200 + "\r\nx\r\n"


def test_long_header_lines_are_folded() -> None:
    """A header's line is folded before a space, so that unfolding gives it back."""
    line = b"References: " + b" ".join([b"<%d@example.com>" % n for n in range(200)])
    headers = mail(line + b"\n\n").headers
    assert max(map(len, headers.split(b"\r\n"))) <= 998
    assert headers.replace(b"\r\n ", b" ") == line + b"\r\n"


def test_mbox(tmp_path: Path) -> None:
    """The mails of an mbox, without its From lines, and with the quoting of >From undone."""
    (tmp_path / "in.mbox").write_bytes(MBOX)
    source = read_source(tmp_path / "in.mbox")
    first, second = (stored.read() for stored in source.mails)
    assert first == mail(GOOD)
    assert second.body == b"From here on\r\nFrom there\r\n>From both\r\n"
    assert [stored.name for stored in source.mails] == ["in.mbox:1", "in.mbox:2"]


def test_mbox_with_crlf(tmp_path: Path) -> None:
    """An mbox from another system has the same mails."""
    (tmp_path / "unix").write_bytes(MBOX)
    (tmp_path / "dos").write_bytes(MBOX.replace(b"\n", b"\r\n"))
    mails = [
        [stored.read() for stored in read_source(tmp_path / name).mails] for name in ("unix", "dos")
    ]
    assert mails[0] == mails[1]
    assert len(mails[0]) == 2


def test_folder(tmp_path: Path) -> None:
    """All .eml files at any depth, by their path; other files are skipped."""
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("z.eml", "b/c/y.EML", "b/x.eml", "notes.txt"):
        (tmp_path / name).write_bytes(GOOD)
    assert [stored.name for stored in read_source(tmp_path).mails] == [
        "b/c/y.EML",
        "b/x.eml",
        "z.eml",
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "bad.eml: empty"),
        (b" \r\n\r\n", "bad.eml: empty"),
        (b"\x89PNG\r\n\x1a\n", "bad.eml: not a mail: line 1 is no header field; expected 'Name: "),
        (b"Hello,\nhow are you?\n", "bad.eml: not a mail: line 1 is no header field; expected"),
        (b"\nFrom: a@b.example\n", "bad.eml: not a mail: it begins with an empty line"),
        (b" From: a@b.example\n", "bad.eml: not a mail: line 1 is no header field"),
        (b"From: a@b.example\nHello\n\nx", "bad.eml: line 2 of the header is no header field"),
        (b"From: a\n\nx\0y\n", "bad.eml: line 3: a NUL byte, which SMTP cannot carry"),
        (b"From: \xe9\n\nx\n", "bad.eml: line 1 of the header has bytes above 127, which need"),
        (b"From: a\n\n" + b"x\n" * (1 << 23), "bad.eml: 16777225 bytes; expected 16777216 at most"),
        (b"From: a\n\n" + b".\n" * (1 << 22), "bad.eml: 16777230 bytes on the wire; expected"),
        (b"From x\n", "bad.eml: mail 1: empty"),
        (b"From x", "bad.eml: mail 1: empty"),
        (b"From x\n\n\n", "bad.eml: mail 1: empty"),
        (MBOX[:-3], "bad.eml: mail 2: the mbox is cut short: its last line has no end"),
        (MBOX[: MBOX.index(b"\n\nFrom here")], "bad.eml: mail 2: the mbox is cut short: its last"),
        (
            MBOX[: MBOX.index(b"\nFrom here")],
            "bad.eml: mail 2: the mbox is cut short: no empty line ends the last mail's header",
        ),
    ],
)  # fmt: skip
def test_bad_file(tmp_path: Path, content: bytes, line: str) -> None:
    """One line: which file, which mail of an mbox, what is wrong, and the way round it."""
    (tmp_path / "bad.eml").write_bytes(content)
    assert problem(tmp_path / "bad.eml").startswith(line)
    assert problem(tmp_path / "bad.eml").endswith("; skip_bad = true leaves such mails out")


def test_no_file(tmp_path: Path) -> None:
    """What is not there, or holds no mail, is named."""
    (tmp_path / "empty").mkdir()
    assert problem(tmp_path / "none.eml").startswith("none.eml: No such file or directory")
    assert problem(tmp_path / "empty") == "empty: no .eml file in this folder"


SHADOW = b"root:$6$salt$hash:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"
NO_FIELD = "not a mail: its header has none of the fields of RFC 5322, such as From"


@pytest.mark.parametrize(
    "content",
    [SHADOW, b"name: x\nversion: 1\n\ntext\n", b"Host: x\n User git\n\n"],
    ids=["shadow", "yaml", "config"],
)
@pytest.mark.parametrize("name", ["shadow", "mail.eml"])
def test_any_file_is_no_mail(tmp_path: Path, content: bytes, name: str) -> None:
    """Lines that look like fields are no header of RFC 5322, whatever the file is called."""
    (tmp_path / name).write_bytes(content)
    assert problem(tmp_path / name) == f"{name}: {NO_FIELD}; skip_bad = true leaves such mails out"
    with pytest.raises(InputError, match=NO_FIELD):
        read_source(tmp_path / name, skip_bad=True)


def test_any_file_in_an_mbox_is_no_mail(tmp_path: Path) -> None:
    """A line of an mbox before other content does not make it a mail."""
    (tmp_path / "x").write_bytes(b"From a Sat Feb  1 12:00:00 2014\n" + SHADOW + b"\n")
    assert problem(tmp_path / "x").startswith(f"x: mail 1: {NO_FIELD}")


@pytest.mark.parametrize("field", [b"FROM: a", b"from : a", b"From:a"])
def test_an_author_in_any_case(tmp_path: Path, field: bytes) -> None:
    """Names of fields have no case (RFC 5322, 1.2.2), and blanks before the colon are old."""
    (tmp_path / "a.eml").write_bytes(b"Subject: x\n" + field + b"\n\nbody\n")
    (stored,) = read_source(tmp_path / "a.eml").mails
    assert stored.read().headers.endswith(field + b"\r\n")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    """Its size is looked at first: a gigabyte of one mail is never in memory."""
    file = tmp_path / "large.eml"
    file.write_bytes(GOOD)
    os.truncate(file, 1 << 40)  # sparse: it takes no room
    line = "large.eml: 1099511627776 bytes; expected 16777216 at most"
    assert problem(file).startswith(line)
    file.write_bytes(MBOX)
    os.truncate(file, 1 << 40)
    line = "large.eml: 1099511627776 bytes; expected 1073741824 at most"
    assert problem(file).startswith(line)


def test_a_file_of_a_gigabyte_takes_no_memory(tmp_path: Path) -> None:
    """One mail of the size of the largest mbox is refused unread."""
    file = tmp_path / "large.eml"
    file.write_bytes(GOOD)
    os.truncate(file, 1 << 30)
    tracemalloc.start()
    try:
        assert problem(file).startswith("large.eml: 1073741824 bytes; expected 16777216 at most")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What is no regular file is refused, and opening it never blocks."""
    os.mkfifo(tmp_path / "pipe.eml")
    assert problem(tmp_path / "pipe.eml").startswith("pipe.eml: expected a regular file")


def test_strange_name(tmp_path: Path) -> None:
    """A file's name that no terminal or row should see is refused, spelt harmlessly."""
    name = b"a\x1b[31m\xff.eml"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(GOOD)
    with pytest.raises(InputError) as caught:
        read_source(tmp_path)
    assert str(caught.value).isprintable()
    assert "expected a file's name of printable characters" in str(caught.value)


def test_bad_mails_left_out(tmp_path: Path) -> None:
    """Asked to, the lab passes over what cannot be sent, and counts it."""
    (tmp_path / "a.eml").write_bytes(b"no mail")
    (tmp_path / "b.eml").write_bytes(GOOD)
    source = read_source(tmp_path, skip_bad=True)
    assert [stored.name for stored in source.mails] == ["b.eml"]
    assert source.skipped == 1
    assert source.skipped_words is not None
    assert source.skipped_words.startswith(f"left out 1 of 2 mails: {tmp_path / 'a.eml'}: ")
    assert read_source(tmp_path / "b.eml").skipped_words is None
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.eml").write_bytes(b"no mail")
    why = "none of its 1 mails can be sent: .*a.eml: not a mail: line 1 is no header field"
    with pytest.raises(InputError, match=why):
        read_source(tmp_path / "sub", skip_bad=True)


@pytest.mark.parametrize("quiet", [False, True])
def test_mails_left_out_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    """On standard error, unless quiet, and always in the run's log."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "a.eml").write_bytes(b"no mail")
    (tmp_path / "mail" / "b.eml").write_bytes(GOOD)
    (tmp_path / "own.toml").write_text(SCENARIO + "skip_bad = true\n")
    request = RunRequest((str(tmp_path / "own.toml"),))
    with RunFolder.create(tmp_path / "run", request.manifest("run", 1, 1, 60)) as folder:
        tell_left_out(request, folder, quiet=quiet)
        folder.finalise("complete")
    words = f"own: left out 1 of 2 mails: {tmp_path / 'mail' / 'a.eml'}: not a mail"
    assert words in (tmp_path / "run" / "log.txt").read_text()
    said = capsys.readouterr()
    assert said.out == ""
    assert (said.err == "") if quiet else said.err.startswith(words)


def test_a_mail_that_changed(tmp_path: Path) -> None:
    """A run sends what was planned, or says that it cannot."""
    file = tmp_path / "a.eml"
    file.write_bytes(GOOD)
    (stored,) = read_source(file).mails
    file.write_bytes(GOOD.replace(b"hello", b"jello"))
    with pytest.raises(InputError, match=r"a\.eml has changed since the run was planned"):
        stored.read()
    file.unlink()
    with pytest.raises(InputError, match=r"a\.eml: No such file"):
        stored.read()


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"A: b", b"\r", b"\n", b"\r\n", b".", b"x" * 999, b" ", b"\xc3\xa9"]),
        max_size=40,
    ).map(lambda parts: b"From: a\n" + b"".join(parts))
)
def test_any_bytes_are_a_mail_on_the_wire_or_refused(data: bytes) -> None:
    """Whatever the file holds: lines of SMTP with one end of data, or nothing but InputError."""
    try:
        made = mail(data)
    except InputError:
        return
    lines = made.wire.split(b"\r\n")
    assert made.wire.endswith(END_OF_DATA)
    assert made.wire.find(END_OF_DATA) == len(made.wire) - len(END_OF_DATA)
    assert not {b"\r", b"\n", b"\0"} & {bytes((byte,)) for line in lines for byte in line}
    assert max(len(line.removeprefix(b".")) for line in lines) <= 998
    assert made.headers.isascii()
    assert b"".join(made.fields) == made.headers


def test_a_scenario_takes_its_mails_in_turn(tmp_path: Path) -> None:
    """Each repeat sends the next mail, to all senders alike; the path counts from the file."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "a.eml").write_bytes(GOOD)
    (tmp_path / "mail" / "b.eml").write_bytes(b"Received: x\n" + GOOD)
    (tmp_path / "own.toml").write_text(SCENARIO)
    scenario = registry.scenario(tmp_path / "own.toml")
    assert isinstance(scenario.message, MailSource)
    specs = plan(scenario, 1)
    assert [spec.message_name for spec in specs if spec.sender == "relay"] == [
        "a.eml",
        "b.eml",
        "a.eml",
    ]
    made: dict[tuple[str, str], Message] = {
        (spec.sender, spec.message_name): message(spec, registry.sender(spec.sender))
        for spec in specs
    }
    assert made["single_write", "a.eml"] == mail(GOOD)
    assert made["relay", "b.eml"] == made["single_write", "b.eml"]
    added = made["relay", "a.eml"]
    assert added.headers.startswith(b"Received: from ")
    assert added.headers.endswith(made["single_write", "a.eml"].headers)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('source = "none"', "own.toml: message.source: {}/none: No such file or directory"),
        ('source = "mail"\npayload_bytes = 9', "own.toml: message: unknown key 'payload_bytes'; "),
        ('source = "mail"\nskip_bad = 1', "own.toml: message.skip_bad: expected true or false"),
        ("source = 5", "own.toml: message.source: expected one line of text"),
        ('kind = "spam"', "own.toml: message.kind: expected one of text, newsletter, "),
        ('first = "From"', "own.toml: message.first: relay puts its own Received first, found"),
        ("value_at = { Subject = 1 }", "own.toml: message.value_at.Subject: expected 208 to"),
        ("value_at = 5", "own.toml: message.value_at: expected a table, found 5"),
        ('header_bytes = "x"', "own.toml: message.header_bytes: expected a whole number"),
    ],
)
def test_bad_message_table(tmp_path: Path, table: str, line: str) -> None:
    """One line: the file, the place in it, what was expected, what was found."""
    (tmp_path / "own.toml").write_text(SCENARIO.replace('source = "mail"', table))
    with pytest.raises(InputError) as caught:
        registry.scenario(tmp_path / "own.toml")
    text = str(caught.value).removeprefix(f"{tmp_path}/")
    assert text.startswith(line.format(tmp_path))


def test_eight_bits_are_announced() -> None:
    """MAIL says BODY=8BITMIME for a body with bytes above 127, and nothing for others."""
    sender = registry.sender("single_write")
    for body, expected in ((b"caf\xc3\xa9", b" BODY=8BITMIME"), (b"coffee", b"")):
        steps = [*session(sender, mail(b"A: b\n\n" + body), sender.defaults)]
        (said,) = [s.data for s in steps if isinstance(s, Write) and s.data.startswith(b"MAIL")]
        assert said == b"MAIL FROM:<sender@client.example>" + expected + b"\r\n"


def test_pipelining() -> None:
    """MAIL, RCPT and DATA leave in one write, their replies come in order, then the payload."""
    sender = registry.sender("single_write")
    parameters = sender.resolve({"pipelining": True})
    made = sender.message_for(parameters, MessageSpec(), 1)
    steps = [*session(sender, made, parameters)]
    group = next(s for s in steps if isinstance(s, Write) and s.data.startswith(b"MAIL"))
    assert [line[:4] for line in group.data.splitlines()] == [b"MAIL", b"RCPT", b"DATA"]
    assert not group.payload
    after = steps[steps.index(group) + 1 :]
    assert after[:4] == [Expect(250), Expect(250), Expect(354), Write(made.wire)]
    plain = [*session(sender, made, sender.defaults)]
    said = b"".join(s.data for s in plain if isinstance(s, Write))
    assert said == b"".join(s.data for s in steps if isinstance(s, Write))


@pytest.mark.parametrize("pipelining", [True, False])
def test_recipients_have_a_command_each(*, pipelining: bool) -> None:
    """Three recipients are three RCPT commands with a reply each, in one write with pipelining."""
    sender = registry.sender("single_write")
    parameters = sender.resolve({"recipients": 3, "pipelining": pipelining})
    steps = [*session(sender, sender.message_for(parameters, MessageSpec(), 1), parameters)]
    said = [s.data for s in steps if isinstance(s, Write) and not s.payload]
    verbs = [[line[:4] for line in data.splitlines()] for data in said]
    group = [b"MAIL", b"RCPT", b"RCPT", b"RCPT", b"DATA"]
    assert verbs[1:-1] == ([group] if pipelining else [[verb] for verb in group])
    codes = [s.code for s in steps if isinstance(s, Expect)]
    assert codes == [220, 250, 250, 250, 250, 250, 354, 250, 221]


def test_the_fields_that_belong_to_the_body() -> None:
    """The Content- fields at the end of the header block do (RFC 2045, 3); one amid it does not."""
    mine, theirs = b"Content-ID: <1>\r\nSubject: a\r\n", b"Content-Type: text/plain;\r\n b=c\r\n"
    assert Message(mine + theirs, b"text").content_start == len(mine)
    assert Message(mine, b"text").content_start == len(mine)
    assert Message(theirs, b"text").content_start == 0
