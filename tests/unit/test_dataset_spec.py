"""A dataset's specification: what it says, and one clear line for each mistake."""

import pickle
import re

import pytest
from dataset_making import SESSIONS, SPEC, spec_of

from seglab.dataset.plan import fingerprint
from seglab.dataset.spec import RAW, read_spec
from seglab.errors import InputError

MAIL = b"Subject: one\r\nFrom: a@example.org\r\n\r\ntext\r\n"


def test_product() -> None:
    """Every sender with every message, a raw sender once, over all networks and repeats."""
    spec = spec_of()
    assert spec.sessions == SESSIONS
    assert spec.shards == 3
    raw = [c for c in spec.combinations if c.template.name == RAW]
    assert [c.sender_variant.sender.name for c in raw] == ["raw_writes"]


def test_pickles_as_its_text() -> None:
    """A worker elsewhere gets the same specification, functions and all."""
    spec = spec_of()
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert b"buffer_bytes = 1024" in pickle.dumps(spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("repeats = 5", "repeat = 10"), "unknown key 'repeat'; did you mean 'repeats'?"),
        (("repeats = 5", "repeats = 0"), "repeats: expected a whole number, 1 to"),
        (("repeats = 5", 'repeats = "ten"'), "repeats: expected a whole number"),
        (('"relay"', '"realy"'), "senders[1]: unknown sender 'realy'; did you mean 'relay'?"),
        (('"ethernet"', '"etherent"'), "unknown network 'etherent'; did you mean 'ethernet'?"),
        (("payload_bytes = 2000", "payload = 2000"), "messages[0]: unknown key 'payload'"),
        (("payload_bytes = 2000", "payload_bytes = 3"), "messages[0].payload_bytes: expected"),
        (('"newsletter"', '"newsleter"'), "messages[1].kind"),
        (('name = "long"', 'name = "short"'), "there is a message 'short' already"),
        (('name = "long"', 'name = "raw"'), "messages[1].name: expected"),
        (('name = "long"', 'name = "../x"'), "messages[1].name: expected"),
        (("networks = [", "networks = []\nx = ["), "networks: expected"),
        (("train = 60", "train = 50"), "to be 100 per cent, found 50 + 20 + 20 = 90"),
        (("train = 60", "trian = 60"), "splits: "),
        (('test = ["tunnel-1420"]', 'test = ["gprs"]'), "no network of this dataset: 'gprs'"),
        (('test = ["tunnel-1420"]', 'tset = ["gprs"]'), "unknown key 'tset'"),
        (('test = ["long"]', 'test = ["long", "short", "raw"]'), "every message is held out"),
        (('test = ["long"]', 'validation = ["long"]'), "none is held out for the test"),
        (("shard_sessions = 50", "shard_sessions = 0"), "shard_sessions: expected"),
        (("[splits]", "[[readers]]\nkind = 'x'\n[splits]"), "readers[0]: kind"),
        (("[splits]", "[[readers]]\nbuffer = 1\n[splits]"), "readers[0]: unknown key 'buffer'"),
        (("[splits]", "[[readers]]\n[[readers]]\n[splits]"), "readers[1]: "),
        (('title = "Small"', 'title = "a\\u001bb"'), "title: expected one line of text"),
        (('title = "Small"', 'title = "a"\ndescription = 3'), "description: expected text"),
    ],
)
def test_mistakes(change: tuple[str, str], message: str) -> None:
    """A mistake is one line that begins with the file, and says where and what."""
    text = SPEC.replace(*change, 1)
    assert text != SPEC
    with pytest.raises(InputError) as raised:
        spec_of(text)
    words = str(raised.value)
    assert words.startswith("/nowhere/small.toml")
    assert message in words
    assert "\n" not in words
    assert words.isprintable()


def test_held_out_networks_need_messages() -> None:
    """Where no message is drawn for the test, a network that is held out would have no session."""
    text = SPEC.replace("train = 60", "train = 80").replace("\ntest = 20", "\ntest = 0")
    with pytest.raises(InputError, match=re.escape("splits.networks.test: of no effect")):
        spec_of(text)


def test_own_mail(tmp_path) -> None:
    """The user's own mail counts from the file; what is the same on the wire is one message."""
    mails = tmp_path / "mails"
    mails.mkdir()
    (mails / "a.eml").write_bytes(MAIL)
    (mails / "b.eml").write_bytes(MAIL.replace(b"\r\n", b"\n"))
    (mails / "c.eml").write_bytes(MAIL.replace(b"one", b"two"))
    file = tmp_path / "own.toml"
    text = 'title = "Own"\nsenders = ["single_write"]\nnetworks = ["unimpaired"]\nrepeats = 3\n'
    file.write_text(f'{text}[[messages]]\nsource = "mails"\n')
    spec = read_spec(file)
    (combination,) = spec.combinations
    assert combination.template.name == "mails"
    assert sorted(combination.template.numbers.values()) == [0, 0, 1]
    file.write_text(
        f'{text}[[messages]]\nsource = "mails"\n[[messages]]\nname = "x"\nsource = "mails/b.eml"\n'
    )
    with pytest.raises(InputError, match=r"messages\[1\]: b.eml is in 'mails' as well"):
        read_spec(file)


def test_same_message_twice() -> None:
    """Two templates that make the same mails would be one in two parts."""
    text = SPEC.replace('kind = "newsletter"\npayload_bytes = 6000', "payload_bytes = 2000")
    with pytest.raises(InputError, match=r"messages\[1\]: the same as 'short'"):
        spec_of(text)


def test_only_raw_senders() -> None:
    """Where all payloads are the senders', messages are of no effect, and are refused."""
    text = 'title = "Raw"\nsenders = ["raw_writes"]\nnetworks = ["unimpaired"]\nrepeats = 3\n'
    assert spec_of(text).sessions == 3
    with pytest.raises(InputError, match="messages: of no effect"):
        spec_of(f"{text}[[messages]]\n")


def test_long_names() -> None:
    """A session whose captures no file system could name is refused before anything runs."""
    one = "gap_ms = 1.123456789, wait_ms = 2.123456789, terminator_bytes = 3, pipelining = true"
    network = f'[[network]]\nname = "{"n" * 64}"\nlike = "ethernet"\n'
    text = (
        SPEC.replace('"relay",', f'{{ name = "relay", parameters = {{ {one} }} }}, "relay",')
        .replace('"short"', f'"{"m" * 40}"')
        .replace("networks = [", f'networks = ["{"n" * 64}", ', 1)
        .replace("[splits]", f"{network}[splits]")
    )
    assert spec_of(text, "x").sessions
    with pytest.raises(InputError, match="names of more than 220 characters"):
        spec_of(text, "x" * 40)


def test_fingerprint_is_of_the_rows() -> None:
    """The fingerprint changes with whatever decides a row, and not with the title."""
    one = fingerprint(spec_of(), 1)
    assert fingerprint(spec_of(SPEC.replace("Small", "Other")), 1) == one
    changes = [
        ("repeats = 5", "repeats = 6"),
        ("train = 60\nvalidation = 20", "train = 50\nvalidation = 30"),
        ("buffer_bytes = 1024", "buffer_bytes = 1025"),
        ("payload_bytes = 2000", "payload_bytes = 2001"),
        ('"unimpaired", ', ""),
        ("shard_sessions = 50", "shard_sessions = 99"),
        ("repeats = 5", "repeats = 5\ncaptures = false"),
    ]
    others = [fingerprint(spec_of(SPEC.replace(*change, 1)), 1) for change in changes]
    assert len({one, fingerprint(spec_of(), 2), *others}) == len(changes) + 2
