"""A process whose every change to files can be watched, refused, torn, or made its last.

The child runs under ptrace(2), with a seccomp(2) filter that stops it before each system call that changes
files: Python's, SQLite's and any library's alike. So the steps of a commit have names without a single hook
in the product. Linux on x86-64 only (`SUPPORTED`); elsewhere these tests skip.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"

CALLS = {
    1: "write", 18: "pwrite", 20: "writev", 40: "sendfile", 74: "fsync", 75: "fdatasync", 76: "truncate",
    77: "ftruncate", 82: "rename", 83: "mkdir", 84: "rmdir", 85: "creat", 86: "link", 87: "unlink",
    88: "symlink", 257: "open", 258: "mkdir", 263: "unlink", 264: "rename", 265: "link", 285: "fallocate",
    296: "pwritev", 316: "rename", 326: "copy_file_range",
}  # fmt: skip
"""The system calls that are steps, by number; `open` only where it may create or truncate."""

_ON_DESCRIPTOR = {1, 18, 20, 74, 75, 77, 285, 296}
_AT = {257, 258, 263, 264, 265, 316}  # the path is the second argument
_TWO_PATHS = {82: 1, 86: 1, 264: 3, 265: 3, 316: 3}
_TRACEME, _CONT, _GETREGS, _SETREGS, _SYSCALL, _SETOPTIONS = 0, 7, 12, 13, 24, 0x4200
_OPTIONS = 0x100000 | 0x80 | 0x02 | 0x04 | 0x08  # exit-kill, seccomp, fork, vfork, clone
_SECCOMP_EVENT = 7
_ALL = 0x40000000  # wait for threads too
_R10, _RDX, _RSI, _RDI, _RAX, _ORIG_RAX = 7, 12, 13, 14, 10, 15


@dataclass(frozen=True)
class Step:
    """One change, about to be made. ``path`` is what it is made to, ``other`` a second name."""

    call: str
    path: str
    other: str = ""
    data: bytes = b""
    offset: int = 0
    flags: int = 0

    @property
    def kind(self) -> str:
        """The step's name: the call, and what sort of file it touches."""
        name = Path(self.path).name
        sort = "segment" if name.endswith(".seg") else "folder" if "." not in name else name
        return f"{self.call} {sort}"


@dataclass(frozen=True)
class Fault:
    """What becomes of a step: the process is killed before it, or it fails, or a part of it is done.

    ``size``: how many bytes of a write are written; the process is killed then, if ``kill``.
    """

    kill: bool = False
    error: int = 0
    size: int | None = None


KILL = Fault(kill=True)
Handler = Callable[[Step], "Fault | None"]
Ending = tuple[Literal["exit", "signal"], int]


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    return libc


def available() -> bool:
    """Return whether this machine lets a process trace its child."""
    if not SUPPORTED:
        return False
    try:
        return run(lambda: None, lambda step: None) == ("exit", 0)
    except OSError:
        return False


def run(work: Callable[[], None], handler: Handler) -> Ending:
    """Run ``work`` in a forked child; ask ``handler`` before each step; return how the child ended."""
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            _trace_me()
            work()
            code = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    return _Parent(pid, handler).follow()


def _trace_me() -> None:
    libc = _libc()
    if libc.ptrace(_TRACEME, 0, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
    os.kill(os.getpid(), signal.SIGSTOP)
    program = _filter()
    array = ctypes.create_string_buffer(program)
    prog = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(array))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(prog), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def _filter() -> bytes:
    """A classic BPF program: trace the calls of `CALLS`, allow all others."""
    numbers = [number for number in CALLS if number != 257]
    lines = [(0x20, 0, 0, 0)]  # load the number of the call
    for at, number in enumerate(numbers):  # a jump to TRACE, which is the last instruction
        lines.append((0x15, len(numbers) - at + 3, 0, number))
    lines.append((0x15, 0, 2, 257))
    lines.append((0x20, 0, 0, 16 + 16))  # openat: its flags
    lines.append((0x45, 1, 0, os.O_CREAT | os.O_TRUNC))
    lines.append((0x06, 0, 0, 0x7FFF0000))  # allow
    lines.append((0x06, 0, 0, 0x7FF00000))  # trace
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


class _Parent:
    """The tracing side."""

    def __init__(self, pid: int, handler: Handler) -> None:
        self.pid, self.handler = pid, handler
        self.libc = _libc()
        self.killing: set[int] = set()

    def follow(self) -> Ending:
        os.waitpid(self.pid, 0)
        self._ptrace(_SETOPTIONS, self.pid, _OPTIONS)
        self._ptrace(_CONT, self.pid)
        while True:
            tid, status = os.waitpid(-1, _ALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if tid == self.pid:
                    signalled = os.WIFSIGNALED(status)
                    return ("signal", os.WTERMSIG(status)) if signalled else ("exit", os.WEXITSTATUS(status))
                continue
            self._stopped(tid, status)

    def _stopped(self, tid: int, status: int) -> None:
        event, stop = status >> 16, os.WSTOPSIG(status)
        if event == _SECCOMP_EVENT:
            self._step(tid)
        elif tid in self.killing:  # a torn write has been made
            os.kill(self.pid, signal.SIGKILL)
        else:
            quiet = event or stop in (signal.SIGTRAP, signal.SIGSTOP)
            self._ptrace(_CONT, tid, 0 if quiet else stop)

    def _step(self, tid: int) -> None:
        registers = (ctypes.c_ulonglong * 27)()
        self._ptrace(_GETREGS, tid, ctypes.addressof(registers))
        fault = self.handler(_describe(tid, registers))
        if fault is None:
            self._ptrace(_CONT, tid)
        elif fault.error:
            registers[_ORIG_RAX], registers[_RAX] = 2**64 - 1, 2**64 - fault.error
            self._ptrace(_SETREGS, tid, ctypes.addressof(registers))
            self._ptrace(_CONT, tid)
        elif fault.size is not None:
            registers[_RDX] = fault.size
            self._ptrace(_SETREGS, tid, ctypes.addressof(registers))
            if fault.kill:
                self.killing.add(tid)
            self._ptrace(_SYSCALL if fault.kill else _CONT, tid)
        else:
            os.kill(self.pid, signal.SIGKILL)

    def _ptrace(self, request: int, tid: int, argument: int = 0) -> None:
        if self.libc.ptrace(request, tid, None, argument) < 0:
            code = ctypes.get_errno()
            if code != errno.ESRCH:  # it was killed meanwhile
                raise OSError(code, os.strerror(code))


def _describe(tid: int, registers: ctypes.Array[ctypes.c_ulonglong]) -> Step:
    """Return what a stopped process is about to do."""
    number = registers[_ORIG_RAX]
    arguments = [registers[n] for n in (_RDI, _RSI, _RDX, _R10)]
    call = CALLS[number]
    if number in _ON_DESCRIPTOR:
        path = os.readlink(f"/proc/{tid}/fd/{arguments[0]}")
        if call == "write" and path.startswith("/") and not path.startswith("/dev"):
            data = _memory(tid, arguments[1], arguments[2])
            return Step(call, path, data=data, offset=_position(tid, arguments[0]))
        if call == "write":
            return Step(call, path)
        if call == "pwrite":
            return Step(call, path, data=_memory(tid, arguments[1], arguments[2]), offset=arguments[3])
        return Step(call, path, offset=arguments[1])
    if number in (40, 326):
        return Step(call, os.readlink(f"/proc/{tid}/fd/{arguments[0 if number == 40 else 2]}"))
    path = _text(tid, arguments[1] if number in _AT else arguments[0])
    other = _text(tid, arguments[_TWO_PATHS[number]]) if number in _TWO_PATHS else ""
    return Step(call, path, other, flags=arguments[2] if number == 257 else 0)


def _position(tid: int, descriptor: int) -> int:
    with open(f"/proc/{tid}/fdinfo/{descriptor}") as file:
        lines = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
    return int(lines["pos"])


def _memory(tid: int, address: int, size: int) -> bytes:
    fd = os.open(f"/proc/{tid}/mem", os.O_RDONLY)
    try:
        return os.pread(fd, size, address)
    finally:
        os.close(fd)


def _text(tid: int, address: int) -> str:
    """Read a string that ends with a zero byte, page by page."""
    found = b""
    while b"\0" not in found:
        found += _memory(tid, address + len(found), 4096 - (address + len(found)) % 4096)
    return os.fsdecode(found.split(b"\0", 1)[0])
