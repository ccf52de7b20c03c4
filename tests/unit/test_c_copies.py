"""From annotations to what Cython compiles: what a copy and its declarations say."""

from seglab.core.c_copies import Copy, copies

STATE = '''
"""A state."""
from typing import Final
MSS_MIN: Final = 8 * 11
_OPEN, _CLOSED = range(2)

class Buffer:
    __slots__ = ("start", "end", "note")
    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.note: str | None = None
    @property
    def size(self) -> int:
        return self.end - self.start

class State:
    __slots__ = ("closed", "queue", "seen", "seed")
    def __init__(self, seed: int) -> None:
        self.queue: list[Buffer] = []
        self.closed = False
        self.seen = _CLOSED + 2 * MSS_MIN
        self.seed = seed
'''

SENDING = '''
"""What uses it."""
from a import state
from a.state import MSS_MIN, Buffer, State

def sent(tp: State, now_ns: int, *, least: int = MSS_MIN, last: bool) -> int:
    """Send."""
    head = tp.queue[0]
    size = head.size
    return size if size > least or last else state.MSS_MIN

def all_sent(tp: State) -> None:
    """Send all."""
    for buffer in tp.queue:
        print(buffer.size, sent(tp, 0, last=True))

class Sender:
    __slots__ = ("tp",)
    def __init__(self, tp: State) -> None:
        self.tp = tp
    def offer(self, data: bytes, *, again: bool) -> tuple[int, ...]:
        share: float = self._share()
        return (int(share),)
    def _share(self) -> float:
        return 0.5
    def _on_timer(self) -> None:
        self.offer(b"", again=True)

def timer(one: Sender) -> None:
    one._on_timer()

def later(tp: State):
    """Make a closure, which C cannot have."""
    return lambda: tp.closed
'''


def both() -> dict[str, Copy]:
    """The copies of the two modules."""
    return copies(
        {"state": STATE, "sending": SENDING}, {"state": "a.state", "sending": "a.sending"}
    )


def test_a_class_with_slots_is_an_extension_type() -> None:
    """Each attribute has the type of what it is given; a seed stays an object."""
    declared = both()["state"].declarations
    buffer, state = declared.split("cdef class State")
    assert "cdef public int64_t start" in buffer
    assert "cdef public object note" in buffer
    assert "cpdef int64_t read_size(self) except? -1" in buffer
    assert "cdef public list queue" in state
    assert "cdef public bint closed" in state
    assert "cdef public int64_t seen" in state
    assert "cdef public object seed" in state
    assert "__slots__" not in both()["state"].text


def test_a_function_takes_types_of_c() -> None:
    """Arguments by keyword get places, and local variables what they hold: a class, or a number."""
    declared = both()["sending"].declarations
    signature = "sent(State tp, int64_t now_ns, bint last, int64_t least=*)"
    types = "@cython.locals(head=Buffer, size=int64_t)"
    assert f"{types}\ncdef int64_t {signature} except? -1" in declared
    assert "@cython.locals(buffer=Buffer)\ncpdef all_sent(State tp)" in declared
    assert "from .state cimport Buffer\n" in declared


def test_a_function_with_a_closure_stays_as_it_is() -> None:
    """It is called as Python calls it."""
    assert "later" not in both()["sending"].declarations


def test_a_constant_is_its_number() -> None:
    """By its own name, by that of its module, and as a default."""
    text = both()["sending"].text
    assert "MSS_MIN" not in text
    assert "else 88" in text
    assert "least=88" in text
    assert "self.seen = 1 + 2 * 88" in both()["state"].text


def test_a_property_is_called() -> None:
    """And an argument by keyword gets its place."""
    text = both()["sending"].text
    assert "head.read_size()" in text
    assert "sent(tp, 0, True)" in text


def test_the_copy_keeps_what_the_source_says() -> None:
    """Its docstrings, for one."""
    assert '"""Send all."""' in both()["sending"].text


def test_what_nothing_else_calls_is_of_c_alone() -> None:
    """A function that the modules call, and a method that its class alone calls, on itself."""
    declared = both()["sending"].declarations
    assert "cdef int64_t sent(" in declared
    assert "cdef double _share(self)" in declared
    assert "cpdef all_sent(" in declared  # nothing here calls it, so somebody else does
    assert "cpdef _on_timer(self)" in declared  # not only its class calls it
    assert "cpdef tuple offer(self, bytes data, bint again)" in declared


def test_a_method_gets_its_keywords_by_place() -> None:
    """Where one class alone has such a method; and a local variable has its annotation's type."""
    found = both()["sending"]
    assert "self.offer(b'', True)" in found.text
    assert "@cython.locals(share=double)" in found.declarations


MAKING = '''
"""What makes objects."""
from math import log
from a import state
from a.state import Buffer, State

class Own(State):
    __slots__ = ("most",)
    def __init__(self, seed: int, *, most: int = 3) -> None:
        super().__init__(seed)
        self.most = most

class Late:
    __slots__ = ("later",)
    def __init__(self, tp: State) -> None:
        self.later = lambda: tp.closed

def made(size: int) -> float:
    """Make some."""
    own = Own(1, most=2)
    own.queue.append(Buffer(0, end=size))
    own.queue.append(state.Buffer(size, size))
    Late(own)
    return log(size)
'''


def test_an_object_is_made_by_a_function_of_c() -> None:
    """It takes numbers of C, and does what the init does; one with a closure stays as it is."""
    found = copies({"state": STATE, "making": MAKING}, {"state": "a.state", "making": "a.making"})[
        "making"
    ]
    assert "own = new_Own(1, 2)" in found.text
    assert "new_Buffer(0, size)" in found.text
    assert "new_Buffer(size, size)" in found.text
    assert "    Late(own)" in found.text
    assert "from .state cimport new_Buffer\n" in found.declarations
    assert "cdef Own new_Own(object seed, int64_t most=*)" in found.declarations
    assert "    cdef _begin_Own(self, object seed, int64_t most=*)" in found.declarations
    assert "self._begin_State(seed)" in found.text


def test_a_logarithm_is_that_of_c() -> None:
    """Nothing of Python is called for it."""
    found = copies({"making": MAKING}, {"making": "a.making"})["making"]
    assert "import log" not in found.text
    assert "from libc.math cimport log\n" in found.declarations


NUMBERS = '''
"""What has many numbers."""
from array import array
from typing import Final

LATE = 1 << 40
_MOST: Final[int] = len("found at run time")

class Table:
    __slots__ = ("values",)
    def __init__(self, values: "array[int]") -> None:
        self.values = values
    def at(self, place: int) -> int:
        late = place >= LATE
        most = _MOST
        return most if bool(late or place < 0) else self.values[place]
'''


def test_an_array_of_numbers_is_read_as_one_of_c() -> None:
    """Its items never become objects; the annotation may be in quotes."""
    found = copies({"numbers": NUMBERS}, {"numbers": "a.numbers"})["numbers"]
    assert "cdef public array_of_c values" in found.declarations
    assert "cdef inline int64_t number_at(array_of_c numbers, int64_t at)" in found.declarations
    assert "number_at(self.values, place)" in found.text
    assert "number_at" not in both()["state"].declarations


def test_a_large_constant_is_a_number_of_c() -> None:
    """Cython would compare objects otherwise."""
    text = copies({"numbers": NUMBERS}, {"numbers": "a.numbers"})["numbers"].text
    assert f"late = place >= cython.cast(int64_t, {1 << 40})" in text


def test_a_number_that_is_found_at_run_time_is_a_variable_of_c() -> None:
    """Where only its module has it, and says that it is a number."""
    found = copies({"numbers": NUMBERS}, {"numbers": "a.numbers"})["numbers"]
    assert "cdef int64_t _MOST\n" in found.declarations
    assert "most=int64_t" in found.declarations
    assert "\n_MOST = len(" in found.text


def test_the_memory_of_objects_is_kept_for_others() -> None:
    """Where a function of C makes them."""
    assert "@cython.freelist(128)\n@cython.cclass\nclass Buffer:" in both()["state"].text
