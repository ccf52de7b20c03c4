"""The filter of system calls: its numbers are the kernel's, and it decides as it should."""

import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from seglab.confined import seccomp

ALLOW, KILL, EPERM = 0x7FFF0000, 0x80000000, 0x00050001
X86_64, ARM64, I386 = 0xC000003E, 0xC00000B7, 0x40000003  # linux/audit.h
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}

NEEDED = {
    "x86_64": (0, 1, 257, 9, 202, 231, 318),
    "aarch64": (63, 64, 56, 222, 98, 94, 278),
}
"""The numbers of read, write, openat, mmap, futex, exit_group and getrandom."""


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What a program of classic BPF returns, by linux/filter.h: an interpreter of its own."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *[*arguments, *[0] * 6][:6])
    instructions = [*struct.iter_unpack("=HBBI", program)]
    at = accumulator = 0
    while True:
        code, if_true, if_false, k = instructions[at]
        at += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                (accumulator,) = struct.unpack_from("=I", data, k)
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += if_true if accumulator == k else if_false
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += if_true if accumulator >= k else if_false
            case 0x45:  # BPF_JMP | BPF_JSET | BPF_K
                at += if_true if accumulator & k else if_false
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                accumulator &= k
            case 0x06:  # BPF_RET | BPF_K
                return int(k)
            case _:
                raise AssertionError(f"no such instruction here: {code:#x}")


def numbers(machine: str) -> Mapping[str, int]:
    """The kernel's own numbers of system calls."""
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not there; ./bootstrap.sh test installs gcc with it")
    found = re.findall(r"^#define __NR3?264?_?(\w+)\s+(\d+)$", HEADERS[machine].read_text(), re.M)
    found += re.findall(r"^#define __NR_(\w+)\s+(\d+)$", HEADERS[machine].read_text(), re.M)
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    """Each name has the number of the header; a header may be older than the newest calls."""
    column = list(HEADERS).index(machine)
    known = numbers(machine)
    listed = {name: both[column] for name, both in seccomp.FORBIDDEN.items()}
    there = {name: number for name, number in listed.items() if name in known}
    assert there == {name: known[name] for name in there}
    assert len(there) > 60
    newest = max(known.values())
    assert all(n is None or n > newest for name, n in listed.items() if name not in known)


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", X86_64), ("aarch64", ARM64)])
@pytest.mark.parametrize("sockets", ["none", "tcp"])
def test_what_is_forbidden(machine: str, architecture: int, sockets: seccomp.Sockets) -> None:
    """Each listed call is refused, what Python needs is not, and other machines' calls kill."""
    program = seccomp.bpf(machine, sockets)
    column = list(HEADERS).index(machine)
    forbidden = {both[column] for both in seccomp.FORBIDDEN.values()} - {None}
    for number in forbidden:
        assert verdict(program, architecture, int(number or 0)) == EPERM
    for number in NEEDED[machine]:
        assert verdict(program, architecture, number) == ALLOW
    assert verdict(program, I386, 11) == KILL
    if machine == "x86_64":
        assert verdict(program, architecture, 0x40000000 + 41) == EPERM


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [
        ("O_RDONLY", True),
        ("O_CLOEXEC", True),
        ("O_WRONLY", False),
        ("O_RDWR", False),
        ("O_CREAT", False),
        ("O_TRUNC", False),
        ("O_APPEND", False),
    ],
)
def test_files_are_opened_to_read(flags: str, allowed: bool) -> None:
    """Nothing is opened for writing, made or cut."""
    program, value = seccomp.bpf("x86_64", "none"), getattr(os, flags)
    expected = ALLOW if allowed else EPERM
    assert verdict(program, X86_64, 257, 0, 0, value) == expected
    assert verdict(program, X86_64, 2, 0, value) == expected
    assert verdict(seccomp.bpf("aarch64", "tcp"), ARM64, 56, 0, 0, value) == expected


SOCKETS = {
    "TCP": (2, 1, True),
    "TCP over IPv6, not blocking": (10, 1 | 0o4000, True),
    "UDP": (2, 2, False),
    "raw": (2, 3, False),
    "a packet socket": (17, 3, False),
    "a Unix socket": (1, 1, False),
    "netlink": (16, 3, False),
    "TCP in the low half of a family": ((1 << 32) + 17, 1, False),
}


@pytest.mark.parametrize("kind", SOCKETS)
def test_sockets(kind: str) -> None:
    """Only the client makes sockets, and only those of TCP."""
    family, type_, allowed = SOCKETS[kind]
    expected = ALLOW if allowed else EPERM
    assert verdict(seccomp.bpf("x86_64", "tcp"), X86_64, 41, family, type_, 0) == expected
    assert verdict(seccomp.bpf("aarch64", "tcp"), ARM64, 198, family, type_, 0) == expected
    assert verdict(seccomp.bpf("x86_64", "none"), X86_64, 41, family, type_, 0) == EPERM
