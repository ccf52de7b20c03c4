"""The filter of system calls for code that nobody has vouched for: pure.

The filter is a list of what is forbidden, with the error EPERM. It is the second wall: the first
are the view without files, and the namespaces without neighbours and network. So a system call that
a later kernel adds is not open to everything, and Python's own needs are not guessed here.

A forbidden call is one that starts a process, reaches another one, opens a socket, changes a file,
mounts or namespaces, or enters one of the kernel's larger parts (bpf, io_uring, keys, perf,
userfaultfd).
"""

import struct
from collections.abc import Iterator
from typing import Final, Literal

Sockets = Literal["none", "tcp"]
"""Which sockets may be made: none, or those of TCP over IPv4 and IPv6."""

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The processors for which there is a filter, with the kernel's number of each (AUDIT_ARCH_...)."""

_X32 = 0x40000000
"""From this number on x86-64 has the calls of its x32 variant, under numbers of their own."""

FORBIDDEN: Final[dict[str, tuple[int | None, int | None]]] = {
    # processes: to start one
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "clone3": (435, 435),
    "execve": (59, 221),
    "execveat": (322, 281),
    "memfd_create": (319, 279),
    # processes: to reach another one
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    # other ways to talk
    "socketpair": (53, 199),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    # files: to change one; see also _OPEN
    "creat": (85, None),
    "openat2": (437, 437),
    "truncate": (76, 45),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    # large parts of the kernel
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "personality": (135, 92),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "ioperm": (173, None),
    "iopl": (172, None),
    "seccomp": (317, 277),
}
"""The forbidden calls, with their numbers on x86-64 and on 64-bit ARM; ``None`` where missing."""

_SOCKET = {"x86_64": 41, "aarch64": 198}
_OPEN = {"x86_64": ((2, 1), (257, 2)), "aarch64": ((56, 2),)}
"""The calls that open a file, and which of their arguments has the flags."""

_TO_WRITE = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND

# Classic BPF: an instruction is a code, where to jump if true and if false, and an operand.
_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_JUMP_ANY_BIT = 0x45
_AND = 0x54
_RETURN = 0x06
_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_EPERM = 0x00050000 | 1
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data
_AF_INET, _AF_INET6, _SOCK_STREAM, _SOCK_TYPE_MASK = 2, 10, 1, 0xF

_Instruction = tuple[int, int, int, int]


def bpf(machine: str, sockets: Sockets) -> bytes:
    """Return the filter as a program of classic BPF.

    Args:
        machine: a key of ``ARCHITECTURES``.
        sockets: which sockets may be made.
    """
    return b"".join(struct.pack("=HBBI", *one) for one in _instructions(machine, sockets))


def _instructions(machine: str, sockets: Sockets) -> Iterator[_Instruction]:
    """Yield the instructions: the calls are compared one by one, and what is left is allowed."""
    yield (_LOAD, 0, 0, _ARCHITECTURE_AT)
    yield (_JUMP_EQUAL, 1, 0, ARCHITECTURES[machine])
    yield (_RETURN, 0, 0, _KILL)
    yield (_LOAD, 0, 0, _NUMBER_AT)
    yield (_JUMP_AT_LEAST, 0, 1, _X32)
    yield (_RETURN, 0, 0, _EPERM)
    column = 0 if machine == "x86_64" else 1
    for numbers in FORBIDDEN.values():
        if (number := numbers[column]) is not None:
            yield (_JUMP_EQUAL, 0, 1, number)
            yield (_RETURN, 0, 0, _EPERM)
    for number, argument in _OPEN[machine]:
        yield (_JUMP_EQUAL, 0, 4, number)
        yield (_LOAD, 0, 0, _ARGUMENT_AT + 8 * argument)
        yield (_JUMP_ANY_BIT, 0, 1, _TO_WRITE)
        yield (_RETURN, 0, 0, _EPERM)
        yield (_RETURN, 0, 0, _ALLOW)
    if sockets == "none":
        yield (_JUMP_EQUAL, 0, 1, _SOCKET[machine])
        yield (_RETURN, 0, 0, _EPERM)
    else:
        yield (_JUMP_EQUAL, 0, 7, _SOCKET[machine])
        yield (_LOAD, 0, 0, _ARGUMENT_AT)
        yield (_JUMP_EQUAL, 1, 0, _AF_INET)
        yield (_JUMP_EQUAL, 0, 3, _AF_INET6)
        yield (_LOAD, 0, 0, _ARGUMENT_AT + 8)
        yield (_AND, 0, 0, _SOCK_TYPE_MASK)
        yield (_JUMP_EQUAL, 1, 0, _SOCK_STREAM)
        yield (_RETURN, 0, 0, _EPERM)
    yield (_RETURN, 0, 0, _ALLOW)
