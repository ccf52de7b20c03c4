"""What follows from a value is made once for each object."""

from seglab.core.kept import Kept


def test_made_once_for_each_object() -> None:
    """Equal values that are two objects count as two, also where one has an id that another had."""
    made = []

    def size(value: list[int]) -> int:
        made.append(value)
        return len(value)

    kept = Kept(size)
    first, second = [1, 2], [1, 2]
    assert [kept(first), kept(second), kept(first)] == [2, 2, 2]
    assert made == [[1, 2], [1, 2]]
    assert [kept([0] * length) for length in range(1000)] == list(range(1000))
    assert kept(first) == 2
