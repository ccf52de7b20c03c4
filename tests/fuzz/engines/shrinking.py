"""Makes a schedule on which the engines disagree smaller, as long as they still do.

Hypothesis's own shrinker asks about one example at a time and takes each answer for certain. A
kernel's answer takes seconds and is not always the same. So this is delta debugging of its own: the
candidates of a round are carried out together, and whoever answers for them carries each out
several times and says yes only where most runs disagree in the way that was found.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from typing import Any

from seglab.experiment.reader import Reader
from seglab.networks.network import Network
from seglab.sender.steps import Step, Wait, Write
from seglab.simulator.support import refusal
from seglab.validation.schedule import PLAIN, Schedule, to_toml, written

Asked = Callable[[Sequence[Schedule]], Sequence[bool]]
"""Says of each schedule whether the engines disagree about it, reproducibly."""

ROUND = 12
"""How many candidates are asked about at once."""

_NAMES = {"name", "title", "source", "path_condition"}


def smaller(schedule: Schedule, ask: Asked, seconds: float) -> Schedule:
    """Return the smallest schedule that was found on which the engines still disagree.

    Args:
        schedule: one on which they do.
        ask: about candidates.
        seconds: after which no new round begins.
    """
    until_s = time.monotonic() + seconds
    best, found = schedule, True
    while found:
        found = False
        left = candidates(best)
        while group := list(islice(left, ROUND)):
            if time.monotonic() > until_s:
                return best
            kept = [one for one, good in zip(group, ask(group), strict=True) if good]
            if kept:
                best, found = min(kept, key=weight), True
                break
    return best


def weight(schedule: Schedule) -> tuple[int, int, float]:
    """Return how large a schedule is: its parts, then the bytes written, then the time waited."""
    links = (schedule.network.core.up, schedule.network.core.down)
    parts = len(schedule.steps) + to_toml(schedule).count("=")
    parts += sum(len(link.drop_data) for link in links) + len(schedule.network.router.schedule)
    parts += schedule.nodelay
    waited_s = sum(step.seconds for step in schedule.steps if isinstance(step, Wait))
    return parts, schedule.payload_bytes, waited_s


def candidates(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the smaller schedules that are one change away, those with the largest change first."""
    least = weight(schedule)
    for one in (*_fewer_steps(schedule), *_plainer(schedule), *_smaller_steps(schedule)):
        if weight(one) < least and any(isinstance(step, Write) for step in one.steps):
            yield one


def _fewer_steps(schedule: Schedule) -> Iterator[Schedule]:
    """Without a half of the steps, a quarter, and so on, down to each single one."""
    steps = schedule.steps
    size = len(steps) // 2
    while size:
        for at in range(0, len(steps), size):
            yield replace(schedule, steps=steps[:at] + steps[at + size :])
        size //= 2


def _smaller_steps(schedule: Schedule) -> Iterator[Schedule]:
    """With a smaller write, or a shorter wait."""
    for at, step in enumerate(schedule.steps):
        for changed in _changed(step, schedule.network.mss):
            steps = (*schedule.steps[:at], changed, *schedule.steps[at + 1 :])
            yield replace(schedule, steps=steps)


def _changed(step: Step, full: int) -> Iterator[Step]:
    if isinstance(step, Write):
        size = len(step.data)
        if step.more:
            yield written(size)
        for smaller_size in (1, full, size // 2, size - size % full, size * 3 // 4):
            if 0 < smaller_size < size:
                yield written(smaller_size, more=step.more)
    elif isinstance(step, Wait):
        yield Wait(int(step.seconds * 500) / 1000)


def _plainer(schedule: Schedule) -> Iterator[Schedule]:
    """With one thing as on a plain path, or with one loss or change of the MTU less."""
    if schedule.reader != Reader():
        yield replace(schedule, reader=Reader())
    if schedule.nodelay:
        yield replace(schedule, nodelay=False)
    for plainer in _plainer_values(schedule.network, PLAIN):
        try:
            network = replace(plainer, path_condition=plainer.typical_condition)
        except ValueError:
            continue
        if refusal(network) is None and network.core.up.delay_ms + network.access.up.delay_ms:
            yield replace(schedule, network=network)


def _plainer_values(value: Any, plain: Any) -> Iterator[Any]:
    """Yield copies of a value, each with one attribute as in ``plain``, or nearer to it."""
    for name in (one.name for one in fields(value)):
        own, like = getattr(value, name), getattr(plain, name)
        if own == like or (isinstance(value, Network) and name in _NAMES):
            continue
        changed = [like]
        if is_dataclass(own):
            changed += list(_plainer_values(own, like))
        elif isinstance(own, tuple):
            changed += [own[:at] + own[at + 1 :] for at in range(len(own))]
        for one in changed:
            try:
                yield replace(value, **{name: one})
            except ValueError:
                continue  # what is left makes no sense without it
