"""Changes that any kind of input may suffer: of bytes, numbers, lists and trees of values."""

import copy
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

EDGES: Final = tuple(
    sorted(
        {
            sign * (base + step)
            for base in (0, 1 << 7, 1 << 8, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 53)
            for step in (-1, 0, 1)
            for sign in (-1, 1)
        }
        | {1 << 63, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, 1 << 64, 10**30}
    )
)
"""Whole numbers at which types and limits end."""

TEXTS: Final = (
    *("", " ", "a", "0", "-1", "null", "true", "nan", "a" * 300, "\0", "\x1b[31m", "\r\n"),
    *("é", "\u202e", "\ufeff", "\ud7ff", "\U0001f4a9", "../../etc/passwd", "/etc/shadow", "."),
    *("%s%n", "{0}", "$(id)", "<b>", "'", '"', "\\", "[red]", "a.b.c", "x" * 70_000),
)
"""Texts that programs stumble over."""


def around(random: Random, number: int) -> int:
    """Return a number near another one, or at an edge."""
    return random.choice(
        (
            number + random.randint(-3, 3),
            number * 2,
            number // 2,
            -number,
            number ^ 1 << random.randint(0, 40),
            random.choice(EDGES),
            random.randint(0, 1 << 20),
        )
    )


def scalar(random: Random) -> Any:
    """Return any plain value."""
    return random.choice(
        (
            lambda: random.choice(EDGES),
            lambda: random.choice(TEXTS),
            lambda: random.choice((True, False, None)),
            lambda: random.choice((0.0, -0.0, 1.5, 1e308, -1e308, 5e-324, 0.1)),
            lambda: random.randint(0, 5000),
            list,
            dict,
        )
    )()


def changed_bytes(random: Random, data: bytes, most: int = 4) -> bytes:
    """Return the bytes after some of: other bytes, a number, a part gone, doubled, moved, cut."""
    out = bytearray(data)
    for _ in range(random.randint(1, most)):
        at = random.randrange(len(out) + 1)
        size = random.choice((1, 2, 4, 8, random.randint(1, 200)))
        how = random.randrange(7)
        if how == 0:
            out[at : at + 1] = random.randbytes(1)
        elif how == 1 and at < len(out):
            out[at] ^= 1 << random.randrange(8)
        elif how == 2:
            width = random.choice((1, 2, 4, 8))
            number = random.choice(EDGES) % (1 << 8 * width)
            order = random.choice(("big", "little"))
            out[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        elif how == 3:
            del out[at : at + size]
        elif how == 4:
            other = random.randrange(len(out) + 1)
            out[at:at] = out[other : other + size]
        elif how == 5:
            out[at : at + size] = random.randbytes(size)
        else:
            del out[at:]
    return bytes(out)


def changed_text(random: Random, text: str, words: Sequence[str], most: int = 3) -> str:
    """Return the text with lines or words gone, doubled, swapped or replaced."""
    for _ in range(random.randint(1, most)):
        lines = text.splitlines(keepends=True)
        if not lines:
            return random.choice(words)
        at = random.randrange(len(lines))
        how = random.randrange(6)
        if how == 0:
            del lines[at]
        elif how == 1:
            lines.insert(random.randrange(len(lines) + 1), lines[at])
        elif how == 2:
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            line = lines[at]
            start = random.randrange(len(line) + 1)
            end = start + random.choice((0, 0, 1, 1, random.randint(0, 20)))
            put = random.choice((random.choice(words), random.choice(TEXTS), ""))
            lines[at] = line[:start] + put + line[end:]
        text = "".join(lines)
    return text


def changed_tree(
    random: Random, tree: Any, value: Callable[[Random], Any] = scalar, most: int = 3
) -> Any:
    """Return a copy of dictionaries and lists with keys or values gone, doubled or replaced."""
    tree = copy.deepcopy(tree)
    for _ in range(random.randint(1, most)):
        holders = list(_holders(tree))
        if not holders:
            return value(random)
        # Small holders are as likely as large ones, else an array of thousands gets all changes.
        holder = random.choice(holders)
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = random.choice(keys)
        _change_one(random, holder, key, value)
    return tree


def _change_one(random: Random, holder: Any, key: Any, value: Callable[[Random], Any]) -> None:
    how, old = random.randrange(8), holder[key]
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        spelled = str(key)
        at = random.randrange(len(spelled) + 1)
        holder[random.choice((spelled[:at] + spelled[at + 1 :], random.choice(TEXTS)))] = old
    elif how == 1:
        holder.insert(random.randrange(len(holder) + 1), copy.deepcopy(old))
    elif how == 2:
        holder[key] = random.choice(([old], {"a": old}, [old, old], str(old)))
    elif how == 3 and isinstance(holder, dict):
        other = random.choice(list(holder))
        holder[key], holder[other] = holder[other], holder[key]
    elif how == 3:
        random.shuffle(holder)
    elif how in (4, 5) and isinstance(old, int) and not isinstance(old, bool):
        holder[key] = around(random, old)
    elif how == 6 and isinstance(old, list) and old:
        holder[key] = old * random.choice((2, 3, 100))
    else:
        holder[key] = value(random)


def _holders(tree: Any) -> list[Any]:
    """Return all dictionaries and lists that hold something."""
    found, waiting = [], [tree]
    while waiting:
        one = waiting.pop()
        inside = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if inside:
            found.append(one)
            waiting.extend(inside)
    return found
