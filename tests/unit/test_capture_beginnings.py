"""Captures: how many bytes of its first segment came before a message."""

import pytest
from capturing import Talk, mail, pcap, read
from test_capture_smtp import messages, opened, transaction

from seglab import classify
from seglab.capture.backend import Core
from seglab.core.observation import Observation

pytest_plugins = ["capture_core"]

ENVELOPE = b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\n"


def finish(talk: Talk) -> None:
    """The replies to an envelope, DATA and the message, and the end."""
    talk.send(1, b"250 Ok\r\n250 Ok\r\n354 Go\r\n250 Ok\r\n")
    talk.finish()


def test_a_message_of_its_own_segments(core: Core) -> None:
    """Sent behind the reply to DATA, it begins its first segment."""
    talk = opened()
    talk.envelope()
    talk.body(mail(3500), (1460, 1460, 580))
    talk.finish()
    (found,) = messages(talk, core)
    assert found.begins_at == 0


def test_data_and_text_in_one_segment(core: Core) -> None:
    """A client that does not wait for replies: commands share the first segment with the text."""
    commands = ENVELOPE + b"DATA\r\n"
    stream = commands + mail(3000)
    talk = opened()
    for at in range(0, len(stream), 1460):
        talk.send(0, stream[at : at + 1460])
    finish(talk)
    (found,) = messages(talk, core)
    assert found.begins_at == len(commands)
    assert found.sizes[0] == 1460 - len(commands)
    verdict = classify(found)
    assert verdict is not None
    assert verdict.style == "single_write"
    assert verdict.boundaries == ()


@pytest.mark.parametrize("buffer", [512, 1024])
def test_a_dialogue_through_one_buffer(core: Core, buffer: int) -> None:
    """All that the client says runs through a buffer, so the message begins inside a block."""
    commands = ENVELOPE + b"DATA\r\n"
    stream = commands + mail(6000)
    talk = opened()
    for at in range(0, len(stream), buffer):
        talk.send(0, stream[at : at + buffer])
    finish(talk)
    (found,) = messages(talk, core)
    assert found.begins_at == len(commands)
    verdict = classify(found)
    assert verdict is not None
    assert (verdict.style, verdict.buffer) == ("fixed_buffer", buffer)
    assert verdict.path_condition == "steady"


def test_bdat_and_its_chunk_in_one_segment(core: Core) -> None:
    """The command and the text are one write of 2900 bytes, which the capture shows merged."""
    text = mail(2880)
    talk = transaction(opened())
    talk.send(0, b"BDAT 2880 LAST\r\n" + text)
    talk.send(1, b"250 Ok\r\n")
    talk.finish()
    (found,) = messages(talk, core)
    assert found.begins_at == len(b"BDAT 2880 LAST\r\n")
    assert found.sizes == (2880,)


def test_a_second_message_behind_the_first_in_one_segment(core: Core) -> None:
    """What came before it in the segment counts, whatever that was."""
    first, second = mail(700), mail(400)
    commands = b"".join((b"BDAT 700 LAST\r\n", first, ENVELOPE, b"BDAT 400 LAST\r\n"))
    talk = transaction(opened())
    talk.send(0, commands + second)
    talk.send(1, b"250 Ok\r\n" * 4)
    talk.finish()
    one, two = messages(talk, core)
    assert one.begins_at == len(b"BDAT 700 LAST\r\n")
    assert two.begins_at == len(commands)


def test_a_message_behind_an_end_that_a_lax_server_took(core: Core) -> None:
    """Smuggled commands and the message behind them lie in one segment."""
    head = b"Subject: x\r\n\r\nfirst\n.\n"
    commands = head + ENVELOPE + b"DATA\r\n"
    talk = opened()
    talk.envelope()
    talk.send(0, commands + b"Subject: y\r\n\r\nsecond\r\n.\r\n")
    talk.send(1, b"250 Ok\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n250 Ok\r\n")
    talk.finish()
    one, two = messages(talk, core)
    assert (one.begins_at, two.begins_at) == (0, len(commands))


def test_a_message_whose_beginning_was_not_captured(core: Core) -> None:
    """A hole is no segment, so nobody knows how it began."""
    talk = opened()
    talk.envelope()
    talk.body(mail(3500), (1460, 1460, 580))
    talk.finish()
    first = next(n for n, (_, packet) in enumerate(talk.packets) if b"Subject" in packet)
    del talk.packets[first]
    (found,) = read(pcap(talk.packets), core)
    assert found.begins_at is None
    assert found.holes == ((0, 1460),)


def test_a_message_known_to_have_no_header_fields(core: Core) -> None:
    """The text is seen to begin with the empty line: ``fields`` is empty, and stays so in JSON."""
    talk = opened()
    talk.envelope()
    talk.send(0, b"\r\nJust text.\r\n")
    talk.send(0, b".\r\n")
    talk.send(1, b"250 Ok\r\n")
    talk.finish()
    (found,) = messages(talk, core)
    assert found.fields == ()
    assert Observation.from_json(found.to_json()) == found
    verdict = classify(found)
    assert verdict is not None
    assert {*verdict.styles} <= {"single_write", "line_by_line"}
