"""The two processes in which a model's code and its test run: `python -I -S -B confined.py`.

Stdin is a task as JSON (see `sandbox`); stdout gets the task's verdict word once the test has
passed. The model's code and the test share no memory: one process has the code and answers calls,
the other has the test and makes them. Arguments and results go between them as plain data, so the
code can say nothing but what its function returns. The word is known to the test's process alone.

Before either runs anything foreign, the kernel is told what both may still do: compute, read
Python's own files and write to what is open. Every other system call is refused by a seccomp
filter: files to be written, processes, signals, sockets, limits. Folders that are named as
arguments are all that can be read (Landlock). Without arguments bubblewrap has seen to that.
This file imports nothing of the project.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, BinaryIO

_MEMORY = 1 << 30
_CPU_SECONDS = 10
_LONGEST = 1 << 24
"""Bytes of one call's arguments or result."""
_VERDICT = 1 << 10
"""Bytes that can be written to the verdict's file, the only one that is open for it."""

# --- what the kernel allows ---------------------------------------------------------------------

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine → its column below, and its name in the kernel's audit.h."""
_SYSTEM_CALLS: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None), "openat": (257, 56), "fcntl": (72, 25), "prlimit64": (302, 261),
    "read": (0, 63), "pread64": (17, 67), "write": (1, 64), "writev": (20, 66), "close": (3, 57),
    "lseek": (8, 62), "stat": (4, None), "lstat": (6, None), "fstat": (5, 80),
    "newfstatat": (262, 79), "statx": (332, 291), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17),
    "getdents64": (217, 61), "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216),
    "mprotect": (10, 226), "madvise": (28, 233), "brk": (12, 214), "futex": (202, 98),
    "getrandom": (318, 278), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169),
    "time": (201, None), "times": (100, 153), "getrusage": (98, 165), "sysinfo": (99, 179),
    "uname": (63, 160), "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
"""What computing needs → its numbers on x86_64 and aarch64, as in the kernel's unistd.h."""

_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | 1, 0x7FFF0000  # 1 is EPERM
_CALL, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets in the kernel's struct seccomp_data
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER, _DIE_WITH_PARENT = 38, 22, 2, 1  # of prctl
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HARMLESS_FCNTL = (0, 1, 2, 3, 1030)  # duplicates a descriptor, reads or sets its flags

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ALL_ACCESS, _READ_FILES_AND_FOLDERS = 0x1FFF, 0b1100  # of Landlock's first version


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    """An instruction of the kernel's packet filter; the last two skip as many instructions."""
    return struct.pack("=HBBI", code, if_so, if_not, value)


def _unless_zero_refuse(offset: int) -> list[bytes]:
    return [_step(_LOAD, offset), _step(_IF_EQUAL, 0, 1, 0), _step(_RETURN, _REFUSE)]


def _opened_to_read(flags: int) -> list[bytes]:
    return [
        _step(_LOAD, flags),
        _step(_IF_ANY_BIT, _WRITING, 0, 1),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]


def _bounded() -> dict[str, list[bytes]]:
    """The system calls of which only some arguments are allowed, with the steps that look."""
    first, second, third = (_ARGUMENTS + 8 * number for number in range(3))
    commands = [
        step
        for command in _HARMLESS_FCNTL
        for step in (_step(_IF_EQUAL, command, 0, 1), _step(_RETURN, _ALLOW))
    ]
    limits = [*_unless_zero_refuse(first), *_unless_zero_refuse(third)]  # own ones, and unset
    return {
        "open": _opened_to_read(second),
        "openat": _opened_to_read(third),
        "fcntl": [_step(_LOAD, second), *commands, _step(_RETURN, _REFUSE)],
        "prlimit64": [*limits, *_unless_zero_refuse(third + 4), _step(_RETURN, _ALLOW)],
    }


def system_call_filter() -> bytes:
    """The filter's instructions.

    Raises:
        KeyError: this machine's numbers of system calls are not known.
    """
    column, machine = _MACHINES[platform.machine()]
    bounded = _bounded()
    steps = [_step(_LOAD, _MACHINE), _step(_IF_EQUAL, machine, 1, 0), _step(_RETURN, _KILL)]
    steps.append(_step(_LOAD, _CALL))
    for name, numbers in _SYSTEM_CALLS.items():
        number, verdict = numbers[column], bounded.get(name, [_step(_RETURN, _ALLOW)])
        if number is not None:
            steps += [_step(_IF_EQUAL, number, 0, len(verdict)), *verdict]
    return b"".join([*steps, _step(_RETURN, _REFUSE)])


def _told(function: Callable[..., int], *arguments: Any) -> int:
    """What a function of libc returns.

    Raises:
        OSError: it failed.
    """
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _limit() -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, _VERDICT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _read_only_these(libc: ctypes.CDLL, folders: list[str]) -> None:
    """Landlock: from now on no file outside the folders can be opened."""
    handled = ctypes.create_string_buffer(struct.pack("=Q", _ALL_ACCESS), 8)
    rules = _told(libc.syscall, _CREATE_RULESET, handled, ctypes.c_size_t(8), 0)
    for folder in folders:
        beneath = os.open(folder, os.O_PATH)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", _READ_FILES_AND_FOLDERS, beneath), 12)
        _told(libc.syscall, _ADD_RULE, rules, 1, rule, 0)
        os.close(beneath)
    _told(libc.syscall, _RESTRICT_SELF, rules, 0)
    os.close(rules)


def _refuse_all_else(libc: ctypes.CDLL) -> None:
    """Seccomp: from now on the listed system calls alone; it cannot be taken back."""
    steps = system_call_filter()
    held = ctypes.create_string_buffer(steps, len(steps))
    program = struct.pack("HxxxxxxQ", len(steps) // 8, ctypes.addressof(held))
    _told(libc.prctl, _SET_SECCOMP, _FILTER, ctypes.create_string_buffer(program, 16), 0, 0)


# --- what goes between the two ------------------------------------------------------------------

_COLLECTIONS = {kind.__name__: kind for kind in (tuple, set, frozenset)}
_NUMBERS = {kind.__name__: kind for kind in (complex, Decimal, Fraction)}
_ERRORS = {
    kind.__name__: kind
    for kind in (ArithmeticError, AssertionError, AttributeError, IndexError, KeyError,
                 NotImplementedError, OverflowError, TypeError, ValueError, ZeroDivisionError)
}  # fmt: skip
"""Errors that a test may expect; of any other it sees a RuntimeError."""


def encode(value: Any) -> Any:
    """A value of Python's plain types, as JSON can hold it; of a subclass the plain value.

    Raises:
        TypeError: it is of another type.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": value.hex()}
    for name, kind in _COLLECTIONS.items():
        if isinstance(value, kind):
            return {name: [encode(item) for item in value]}
    for name, number in _NUMBERS.items():
        if isinstance(value, number):
            return {name: str(value)}
    raise TypeError(f"{type(value).__name__} is no plain data")


def decode(value: Any) -> Any:
    """The value that was encoded."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((name, held),) = value.items()
    if name == "dict":
        return {decode(key): decode(item) for key, item in held}
    if name == "bytes":
        return bytes.fromhex(held)
    if name in _NUMBERS:
        return _NUMBERS[name](held)
    return _COLLECTIONS[name](decode(item) for item in held)


def _lines(file: BinaryIO) -> Iterator[Any]:
    while line := file.readline(_LONGEST):
        yield json.loads(line)


def _send(file: BinaryIO, value: Any) -> None:
    file.write(json.dumps(value).encode() + b"\n")
    file.flush()


# --- the two ------------------------------------------------------------------------------------


def answer_calls(calls: BinaryIO, results: BinaryIO) -> None:
    """Runs the model's code, then its function once for each call."""
    messages = _lines(calls)
    task = next(messages)
    names: dict[str, Any] = {}
    exec(task["code"], names)
    for positional, named in messages:
        try:
            value = names[task["function"]](*decode(positional), **decode(named))
            answer = {"result": encode(value)}
        except Exception as error:  # foreign code's, told to the test as the function's own
            answer = {"error": type(error).__name__}
        _send(results, answer)


def run_test(task: dict[str, str], calls: BinaryIO, results: BinaryIO, verdict: int) -> None:
    """Runs the test on a function that calls the model's; writes the verdict if it passes."""
    _send(calls, {"code": task["code"], "function": task["function"]})
    answers = _lines(results)

    def candidate(*positional: Any, **named: Any) -> Any:
        _send(calls, [encode(positional), encode(named)])
        answer = next(answers, {"error": "no answer"})
        if "error" in answer:
            raise _ERRORS.get(answer["error"], RuntimeError)("the function failed")
        return decode(answer["result"])

    names: dict[str, Any] = {}
    exec(task["helpers"], names)
    names[task["function"]] = candidate
    exec(task["test"], names)
    names["check"](candidate)
    os.write(verdict, task["word"].encode())


def main(readable: list[str]) -> None:
    """Splits into the two processes and confines both."""
    task_file, verdict = os.dup(0), os.dup(1)
    os.dup2(2, 0)  # stderr is /dev/null, and so is whatever is printed
    os.dup2(2, 1)
    sys.set_int_max_str_digits(0)
    libc = ctypes.CDLL(None, use_errno=True)
    _told(libc.prctl, _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _told(libc.prctl, _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _limit()
    if readable:
        _read_only_these(libc, readable)
    (calls_out, calls_in), (results_out, results_in) = os.pipe(), os.pipe()
    if os.fork():
        os.close(calls_out)
        os.close(results_in)
        _refuse_all_else(libc)
        with open(task_file) as file:  # read now, when the other has its copy of this memory
            task = json.load(file)
        run_test(task, os.fdopen(calls_in, "wb"), os.fdopen(results_out, "rb"), verdict)
    else:
        for mine in (task_file, verdict, calls_in, results_out):
            os.close(mine)
        _told(libc.prctl, _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        _refuse_all_else(libc)
        answer_calls(os.fdopen(calls_out, "rb"), os.fdopen(results_in, "wb"))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
