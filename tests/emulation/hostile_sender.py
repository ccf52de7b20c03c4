"""A sender from a stranger: each way in which it may try to get out, as one of its parameters.

It tries while its file is loaded, and again in its steps. It raises what it found: an error means
that the way is closed, and REACHED that it got there.

Importing this file does nothing. ``sacrifice`` fills in the marks of a machine, in namespaces that
it made for that, with a root that is read-only: if a wall of the lab falls, nothing else does. No
way here may change more than such a machine.
"""

import ctypes
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from seglab.sender import Message, Parameters, Sender, Step, Word, Write, smtp_parameters

MARKS: dict[str, Any] = {}

libc = ctypes.CDLL(None, use_errno=True)


def call(function: Any, *arguments: Any) -> int:
    """Call a function of the C library."""
    result = int(function(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def system_call(number: int, *arguments: Any) -> int:
    """Make a system call of x86-64."""
    return call(libc.syscall, number, *arguments)


def unmount_proc() -> None:
    """Uncover the host's /proc."""
    call(libc.umount2, b"/proc", 2)


def enter_the_host() -> None:
    """Join a namespace of a host's process."""
    for pid in (1, MARKS["pid"]):
        for kind in ("net", "mnt"):
            call(libc.setns, os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY), 0)


def enter_by_a_pidfd() -> None:
    """The same without /proc."""
    call(libc.setns, system_call(434, MARKS["pid"], 0), 0x40000000)


def stream_to(address: str) -> None:
    """Connect to a socket of the host."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address)


def path_socket() -> None:
    """A socket in the host's file system."""
    stream_to(MARKS["socket"])


def abstract_socket() -> None:
    """A socket without a file."""
    stream_to(f"\0{MARKS['abstract']}")


def read_secret() -> None:
    """A file that only its owner may read."""
    Path(MARKS["secret"]).read_bytes()


def read_public() -> None:
    """A file that everyone on the host may read."""
    Path(MARKS["public"]).read_bytes()


def read_own_file() -> None:
    """What lies beside the sender's own file."""
    Path(__file__).read_bytes()


def list_folders() -> None:
    """The host's folders."""
    for folder in ("/home", "/root", "/run", "/tmp", "/etc", "/proc", "/sys", "/dev", "/var"):
        expected = {"ld.so.cache", *MARKS["on the way"]}
        if Path(folder).is_dir() and {path.name for path in Path(folder).iterdir()} - expected:
            return
    raise FileNotFoundError("nothing there")


def write_anywhere() -> None:
    """Any file at all."""
    for folder in ("/", "/tmp", "/usr/lib", Path(os.__file__).parent, MARKS["folder"]):
        try:
            Path(folder, "seglab-hostile").write_text("x")
        except OSError:
            continue
        return
    raise PermissionError("nowhere")


def change_python() -> None:
    """A module of Python's library, opened for writing and left as it is."""
    os.close(os.open(os.__file__, os.O_WRONLY))


def environment() -> None:
    """A password in the environment."""
    if "HOSTILE_SECRET" not in os.environ:
        raise KeyError("HOSTILE_SECRET")


def raw_frames() -> None:
    """A packet socket."""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)


def raw_ip() -> None:
    """A raw socket."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)


def netlink() -> None:
    """A default route, by rtnetlink."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        route = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack(
            "=HHI", 8, 4, 1
        )
        sock.send(struct.pack("=IHHII", 16 + len(route), 24, 0x505, 1, 0) + route)
        (_, kind, _, _, _, error) = struct.unpack_from("=IHHIIi", sock.recv(4096))
        if kind == 2 and error:
            raise OSError(-error, os.strerror(-error))


def dns() -> None:
    """A name."""
    socket.create_connection(("localhost", MARKS["port"]), 1)


def tcp_to_the_host() -> None:
    """A server of the host."""
    socket.create_connection(("127.0.0.1", MARKS["port"]), 1)


def udp() -> None:
    """A datagram."""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53))


def kill_others() -> None:
    """A signal to any process; 0 only asks whether it may be sent."""
    for pid in range(1, 400):
        if pid != os.getpid():
            with suppress(OSError):
                os.kill(pid, 0)
                return
    raise PermissionError("nobody")


def kill_all() -> None:
    """All of them at once, with the same signal."""
    os.kill(-1, 0)


def trace() -> None:
    """The memory of another process."""
    call(libc.ptrace, 16, MARKS["pid"], 0, 0)


def read_memory() -> None:
    """The same without stopping it."""
    system_call(310, 1, 0, 0, 0, 0, 0)


def new_user_namespace() -> None:
    """A namespace in which it is root."""
    call(libc.unshare, 0x10000000)


def mount_something() -> None:
    """A new proc."""
    for target in (b"/proc", b"/"):
        with suppress(FileNotFoundError):
            call(libc.mount, b"proc", target, b"proc", 0, None)
            return
    raise FileNotFoundError("nowhere")


def remount() -> None:
    """The root, writable."""
    call(libc.mount, None, b"/", None, 0x20 | 0x1000, None)


def open_by_handle() -> None:
    """Any inode of a file system."""
    handle = ctypes.create_string_buffer(struct.pack("=IIQ", 8, 1, 2))
    system_call(304, os.open("/", os.O_RDONLY), handle, 0)


def fork() -> None:
    """A child that outlives the lab."""
    for start in (os.fork, lambda: system_call(56, 17, 0, 0, 0, 0), lambda: system_call(57)):
        try:
            pid = start()
        except OSError:
            continue
        if pid == 0:
            os.setsid()
            signal.pause()
        return
    raise PermissionError("no child")


def thread() -> None:
    """A thread that goes on."""
    import threading  # noqa: PLC0415

    threading.Thread(target=signal.pause, daemon=True).start()


def run_program() -> None:
    """A shell."""
    os.execv("/bin/sh", ["sh", "-c", "sleep 1000"])


def memory_file() -> None:
    """A program without a file."""
    os.memfd_create("x")


def become_root() -> None:
    """The user that it was."""
    os.setresuid(0, 0, 0)
    os.setgroups([0])


def io_uring() -> None:
    """Another way to make system calls."""
    system_call(425, 1, ctypes.create_string_buffer(200))


def bpf() -> None:
    """A map in the kernel."""
    system_call(321, 0, ctypes.create_string_buffer(struct.pack("=IIII", 2, 4, 4, 1)), 16)


def keys() -> None:
    """The session's keys."""
    system_call(250, 0, -3, 0)


def x32() -> None:
    """The same calls under other numbers."""
    system_call(0x40000000 + 41, 2, 1, 0)


def inject() -> None:
    """Characters into the user's terminal."""
    import fcntl  # noqa: PLC0415

    for fd in range(3):
        fcntl.ioctl(fd, 0x5412, b"x")


def much_memory() -> None:
    """More than the machine has to spare."""
    bytearray(8 << 30)


def capabilities() -> None:
    """What is left in any of the five sets."""
    data = (ctypes.c_uint32 * 6)()
    system_call(125, (ctypes.c_uint32 * 2)(0x20080522, 0), data)
    bounding = [n for n in range(41) if call(libc.prctl, 23, n, 0, 0, 0)]
    if not any(data) and not bounding and call(libc.prctl, 39, 0, 0, 0, 0) == 1:
        raise PermissionError("none, and no new privileges")


WAYS: dict[str, Callable[[], None]] = {
    way.__name__: way
    for way in (
        unmount_proc,
        enter_the_host,
        enter_by_a_pidfd,
        path_socket,
        abstract_socket,
        read_secret,
        read_public,
        read_own_file,
        list_folders,
        write_anywhere,
        change_python,
        environment,
        raw_frames,
        raw_ip,
        netlink,
        dns,
        tcp_to_the_host,
        udp,
        kill_others,
        kill_all,
        trace,
        read_memory,
        new_user_namespace,
        mount_something,
        remount,
        open_by_handle,
        fork,
        thread,
        run_program,
        memory_file,
        become_root,
        io_uring,
        bpf,
        keys,
        x32,
        inject,
        much_memory,
        capabilities,
    )
}


def tried(way: str) -> str:
    """What came of it."""
    try:
        WAYS[way]()
    except (OSError, KeyError, RuntimeError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return "REACHED"


AT_ONCE = {way: tried(way) for way in WAYS} if MARKS else {}


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """Try the way, and say what came of it."""
    way = parameters["way"]
    results = (AT_ONCE[way], tried(way))
    if "REACHED" in results:
        raise RuntimeError(f"REACHED {results}")
    yield Write(message.wire)


SENDER = Sender(
    name="hostile",
    summary="a stranger's",
    source="a test",
    style="single_write",
    parameters={"way": Word("fork", tuple(WAYS), "the way out"), **smtp_parameters()},
    steps=steps,
)
