"""The plan of a dataset: every session once, in any order, and no message in two parts."""

from collections import Counter, defaultdict

import pytest
from dataset_making import SESSIONS, SPEC, spec_of
from hypothesis import given
from hypothesis import strategies as st

from seglab.dataset.plan import planned, session_at, shard_range
from seglab.dataset.splits import PARTS, Splits
from seglab.errors import InputError
from seglab.experiment import plan as sessions_
from seglab.sender.named import sender

EVERY = [place for shard in range(3) for place in planned(spec_of(), 1, shard)]


def test_every_session_once() -> None:
    """The shards together have every number and every session, each once."""
    assert [place.number for place in EVERY] == list(range(SESSIONS))
    assert len({place.spec.session_id for place in EVERY}) == SESSIONS
    cells = Counter(
        (p.spec.sender, p.spec.variant, p.template, p.network.name, p.spec.repeat) for p in EVERY
    )
    assert len(cells) == SESSIONS


def test_a_session_alone_is_that_of_the_whole() -> None:
    """What a session is does not depend on the others, nor on the size of the shards."""
    other = spec_of(SPEC.replace("shard_sessions = 50", "shard_sessions = 7"))
    for number in (0, 8, 101, SESSIONS - 1):
        assert session_at(spec_of(), 1, number) == EVERY[number]
        assert session_at(other, 1, number).spec.seed == EVERY[number].spec.seed
        assert session_at(other, 1, number).split == EVERY[number].split


def test_shards_that_there_are_not() -> None:
    """A shard's number is held to those that there are."""
    assert shard_range(spec_of(), 2) == range(100, 135)
    for number in (-1, 3):
        with pytest.raises(InputError, match="expected 0 to 2"):
            shard_range(spec_of(), number)


def test_more_repeats_keep_the_sessions() -> None:
    """A dataset with more repeats begins with the smaller one's sessions, in the same parts."""
    more = spec_of(SPEC.replace("repeats = 5", "repeats = 20"))
    assert [session_at(more, 1, place.number) for place in EVERY[:50]] == EVERY[:50]


def test_no_message_in_two_parts() -> None:
    """The payloads themselves, made again, are in one part each, by each of the columns."""
    parts = defaultdict(set)
    for place in EVERY:
        payload = sessions_.message(place.spec, sender(place.spec.sender)).wire
        for column in ("split", "split_network", "split_template"):
            if (part := getattr(place, column)) is not None:
                parts[column, payload].add(part)
                parts[column, place.message_id].add(part)
    assert parts
    assert all(len(found) == 1 for found in parts.values())


def test_message_is_the_same_everywhere() -> None:
    """One message goes over all networks and through all parameter sets of its sender."""
    by_message = defaultdict(list)
    for place in EVERY:
        by_message[place.message_id].append(place)
    group = by_message["small-long.fixed_buffer.0003"]
    assert {p.network.name for p in group} == {"unimpaired", "ethernet", "tunnel-1420"}
    assert {p.spec.variant for p in group} == {"buffer_bytes=1024", "buffer_bytes=4096"}
    assert len({p.spec.message_seed for p in group}) == 1
    assert len({p.spec.seed for p in group}) == 6


def test_readers_share_messages() -> None:
    """A reader is a variant of its own; what it reads is what the others read."""
    text = SPEC.replace("[splits]", '[[readers]]\n[[readers]]\nkind = "recv-loop"\n[splits]')
    spec = spec_of(text)
    assert spec.sessions == 2 * SESSIONS
    one, other = session_at(spec, 1, 0), session_at(spec, 1, 3)
    assert (one.spec.variant, other.spec.variant) == ("reader=event-loop", "reader=recv-loop")
    assert one.spec.message_seed == other.spec.message_seed
    assert one.message_id == other.message_id


def test_held_out_networks() -> None:
    """Sessions of a held-out network are for the test, with messages that no other part has."""
    for place in EVERY:
        held_out = place.network.name == "tunnel-1420"
        expected = {"train": not held_out, "validation": not held_out, "test": held_out}
        assert place.split_network == (place.split if expected[place.split] else None)


def test_held_out_templates() -> None:
    """All sessions of a held-out template are for the test, all others for the training."""
    for place in EVERY:
        assert place.split_template == ("test" if place.template == "long" else "train")


def test_nothing_held_out() -> None:
    """Where nothing is held out, those columns are empty."""
    head, _ = SPEC.split("networks = { test")
    place = session_at(spec_of(head), 1, 5)
    assert (place.split_network, place.split_template) == (None, None)


def test_own_mails_have_one_part_whoever_sends_them(tmp_path) -> None:
    """A mail of the user's own is one message for all senders, each time it comes round."""
    for number in range(7):
        mail = f"Subject: {number}\r\n\r\ntext\r\n".encode()
        (tmp_path / f"{number}.eml").write_bytes(mail)
    text = (
        'title = "Own"\nsenders = ["single_write", "relay"]\nnetworks = ["unimpaired"]\n'
        f'repeats = 21\n[[messages]]\nsource = "{tmp_path}"\n'
    )
    parts, counts = defaultdict(set), Counter()
    for place in planned(spec_of(text), 1, 0):
        parts[place.spec.message.name].add((place.split, place.message_id))
        counts[place.spec.message.name] += 1
    assert set(counts.values()) == {6}
    assert all(len(found) == 1 for found in parts.values())


@given(
    train=st.integers(1, 100),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**64 - 1),
    blocks=st.integers(1, 3),
)
def test_shares_are_exact(train: int, share: float, seed: int, blocks: int) -> None:
    """After whole blocks each part has its share to the message, whatever the percentages."""
    validation = int((100 - train) * share)
    pct = dict(zip(PARTS, (train, validation, 100 - train - validation), strict=True))
    splits = Splits(pct=pct)
    total = splits.block * blocks
    found = Counter(splits.of_message(seed, "text.relay", n) for n in range(total))
    assert {part: found[part] * 100 for part in PARTS} == {p: pct[p] * total for p in PARTS}


def test_parts_are_drawn() -> None:
    """Which messages are in which part depends on the seed, and on the kind of message."""
    splits = Splits()

    def parts(seed: int, kind: str) -> list[str]:
        return [splits.of_message(seed, kind, n) for n in range(100)]

    assert parts(1, "a") == parts(1, "a")
    assert parts(1, "a") != parts(2, "a")
    assert parts(1, "a") != parts(1, "b")
    assert parts(1, "a")[:10] != parts(1, "a")[10:20]


def test_a_far_session_is_planned_at_once() -> None:
    """A session of a billion is found by its number, without the others."""
    spec = spec_of(SPEC.replace("repeats = 5", "repeats = 100_000_000"))
    assert spec.sessions == 2_700_000_000
    last = session_at(spec, 1, spec.sessions - 1)
    assert last.spec.repeat == 99_999_999
