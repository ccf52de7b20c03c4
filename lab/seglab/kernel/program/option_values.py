"""Which values programs set TCP options to: a small program in the kernel notes them.

The trace event of setsockopt(2) has the address of the value, and nothing reads it later for sure.
So a BPF program of 25 instructions runs at that event, for the whole machine, and notes what each
call with the level IPPROTO_TCP sets: in a map, by thread and time. It is there as long as the
process that loaded it, and costs other programs nothing but at such a call.

The layout of instructions and of ``union bpf_attr`` is that of ``include/uapi/linux/bpf.h``; the
context of the program is that of ``perf_call_bpf_enter`` in ``kernel/trace/trace_syscalls.c``.
"""

import ctypes
import errno
import fcntl
import os
import platform
import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_BPF: Final = {"x86_64": 321, "aarch64": 280}
_PERF_EVENT_OPEN: Final = {"x86_64": 298, "aarch64": 241}
"""The numbers of the system calls, by the machine's architecture."""

_MAP_CREATE, _MAP_UPDATE, _MAP_DELETE, _MAP_GET_NEXT_KEY, _PROG_LOAD = 0, 2, 3, 4, 5
_MAP_LOOKUP: Final = 1
_LRU_HASH: Final = 9
_TRACEPOINT_PROGRAM: Final = 5
_PERF_TYPE_TRACEPOINT: Final = 2
_PERF_FLAG_CLOEXEC: Final = 8
_SET_BPF: Final = 0x40042408  # PERF_EVENT_IOC_SET_BPF
_ENABLE: Final = 0x2400  # PERF_EVENT_IOC_ENABLE
_ENTRIES: Final = 8192
_LICENSE: Final = b"Dual MIT/GPL"
"""What the kernel is told: some of its functions are only for programs that are also under the GPL
(``license_is_gpl_compatible``), and this one is under the MIT licence."""
_IPPROTO_TCP: Final = 6

_KEY = struct.Struct("=QQ")
_VALUE = struct.Struct("=QiI")
_INSTRUCTION = struct.Struct("=BBhi")

_UPDATE_ELEMENT, _KTIME_GET_NS, _GET_PID_TGID, _PROBE_READ_USER = 2, 5, 14, 112
_LEVEL_AT, _NAME_AT, _POINTER_AT = 24, 32, 40


class OptionSet(NamedTuple):
    """A call of setsockopt: when, in which thread of the kernel's, which option, to what."""

    t_ns: int
    thread: int
    option: int
    value: int


class OptionValues:
    """Notes the values of TCP options that the machine's programs set, while it is open.

    Args:
        event: the number of the trace event ``sys_enter_setsockopt``.

    Raises:
        OSError: this kernel, or this process, does not allow it.
    """

    def __init__(self, event: int) -> None:
        machine = platform.machine()
        if machine not in _BPF:
            raise OSError(errno.ENOSYS, f"the system calls' numbers on {machine} are not known")
        self._number = _BPF[machine]
        self._libc = ctypes.CDLL(None, use_errno=True)
        created = struct.pack("=IIIII", _LRU_HASH, _KEY.size, _VALUE.size, _ENTRIES, 0)
        self._map = self._bpf(_MAP_CREATE, created)
        code = program(self._map)
        held, license_ = ctypes.create_string_buffer(code), ctypes.create_string_buffer(_LICENSE)
        loaded = struct.pack(
            "=IIQQIIQII",
            *(_TRACEPOINT_PROGRAM, len(code) // _INSTRUCTION.size),
            *(ctypes.addressof(held), ctypes.addressof(license_)),
            *(0, 0, 0, 0, 0),
        )
        self._program = self._bpf(_PROG_LOAD, loaded)
        asked = struct.pack("=IIQQQ", _PERF_TYPE_TRACEPOINT, 64, event, 1, 0).ljust(64, b"\0")
        attribute = ctypes.create_string_buffer(asked, 64)
        self._event = self._libc.syscall(
            _PERF_EVENT_OPEN[machine], attribute, -1, 0, -1, _PERF_FLAG_CLOEXEC
        )
        if self._event < 0:
            raise OSError(ctypes.get_errno(), "perf_event_open")
        fcntl.ioctl(self._event, _SET_BPF, self._program)
        fcntl.ioctl(self._event, _ENABLE, 0)

    def take(self) -> list[OptionSet]:
        """Return what has been noted since the last call, in the order of time."""
        found: list[OptionSet] = []
        key = ctypes.create_string_buffer(_KEY.size)
        value = ctypes.create_string_buffer(_VALUE.size)
        while True:
            try:
                self._bpf(_MAP_GET_NEXT_KEY, self._element(None, key))
                self._bpf(_MAP_LOOKUP, self._element(key, value))
                self._bpf(_MAP_DELETE, self._element(key, None))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return sorted(found)
                raise
            t_ns, thread = _KEY.unpack(key.raw)
            option, number, failed = _VALUE.unpack(value.raw)
            if not failed:
                found.append(OptionSet(t_ns, thread & 0xFFFFFFFF, option & 0xFFFFFFFF, number))

    def _element(self, key: ctypes.Array[ctypes.c_char] | None, second: object) -> bytes:
        at = [0 if one is None else ctypes.addressof(one) for one in (key, second)]  # type: ignore[arg-type]
        return struct.pack("=IIQQQ", self._map, 0, *at, 0)

    def _bpf(self, command: int, attribute: bytes) -> int:
        held = ctypes.create_string_buffer(attribute.ljust(128, b"\0"), 128)
        result = self._libc.syscall(self._number, command, held, len(held))
        if result < 0:
            raise OSError(ctypes.get_errno(), f"bpf: {os.strerror(ctypes.get_errno())}")
        return int(result)


def program(map_fd: int) -> bytes:
    """Return the instructions: note thread, time, option and value of a call about TCP."""
    load64, store64, store32, move, add, call, exit_ = 0x79, 0x7A, 0x62, 0xBF, 0x07, 0x85, 0x95
    store_register, move_number, jump_not_equal, jump_equal = 0x7B, 0xB7, 0x55, 0x15

    def one(code: int, to: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> bytes:
        return _INSTRUCTION.pack(code, source << 4 | to, offset, number)

    body = [
        one(store64, 10, offset=-24),
        one(call, number=_KTIME_GET_NS),
        one(store_register, 10, 0, -16),
        one(call, number=_GET_PID_TGID),
        one(store_register, 10, 0, -8),
        one(load64, 2, 6, _NAME_AT),
        one(store_register, 10, 2, -32),
        one(move, 1, 10),
        one(add, 1, number=-24),
        one(move_number, 2, number=4),
        one(load64, 3, 6, _POINTER_AT),
        one(call, number=_PROBE_READ_USER),
        one(jump_equal, 0, offset=1),
        one(store32, 10, offset=-20, number=1),
        _INSTRUCTION.pack(0x18, 1 << 4 | 1, 0, map_fd) + _INSTRUCTION.pack(0, 0, 0, 0),
        one(move, 2, 10),
        one(add, 2, number=-16),
        one(move, 3, 10),
        one(add, 3, number=-32),
        one(move_number, 4, number=0),
        one(call, number=_UPDATE_ELEMENT),
    ]
    length = sum(map(len, body)) // _INSTRUCTION.size
    head = [
        one(move, 6, 1),
        one(load64, 2, 6, _LEVEL_AT),
        one(jump_not_equal, 2, offset=length, number=_IPPROTO_TCP),
    ]
    return b"".join([*head, *body, one(move_number, 0), one(exit_)])


def values_of(
    calls: Iterable[tuple[int, int, int]], noted: Sequence[OptionSet]
) -> list[int | None]:
    """Return the value that each call set, where it is known for sure.

    Args:
        calls: when, in which thread and which option, in the order of time.
        noted: what was noted of all programs, in the order of time, from the first call on.

    Returns:
        A value for each call. ``None`` stands for all calls of a thread and option of which more or
        fewer were noted.
    """
    asked = list(calls)
    of: dict[tuple[int, int], list[int]] = {}
    for one in noted:
        of.setdefault((one.thread, one.option), []).append(one.value)
    totals: dict[tuple[int, int], int] = {}
    for _, thread, option in asked:
        totals[thread, option] = totals.get((thread, option), 0) + 1
    sure = {key: iter(of[key]) for key, many in totals.items() if len(of.get(key, ())) == many}
    return [next(sure.get((thread, option), iter(())), None) for _, thread, option in asked]
