"""The queue of a session's events, against a heap."""

import heapq
from random import Random

from seglab.simulator.carried import DOWN, UP, Carried
from seglab.simulator.clock import NEVER
from seglab.simulator.due import ARRIVAL, Queue


def test_what_is_due_first_comes_first() -> None:
    """In the order of times, and of two at one time what was queued first."""
    for seed in range(200):
        rng = Random(seed)
        queue = Queue()
        heap: list[tuple[int, int]] = []
        packets: list[Carried] = []
        now_ns = 0
        for _ in range(60):
            if heap and rng.random() < 0.45:
                now_ns, number = heapq.heappop(heap)
                assert queue.at_ns == now_ns
                event = queue.take()
                assert (event.at_ns, event.packet) == (now_ns, packets[number])
            else:
                packet = Carried(rng.choice((UP, DOWN)), None, 54, now_ns)
                at_ns = now_ns + rng.randint(0, 6)
                heapq.heappush(heap, (at_ns, len(packets)))
                packets.append(packet)
                queue.put(at_ns, ARRIVAL, packet)
        while heap:
            at_ns, number = heapq.heappop(heap)
            event = queue.take()
            assert (event.at_ns, event.packet) == (at_ns, packets[number])
        assert queue.at_ns == NEVER
