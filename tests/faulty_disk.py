"""Run a function in a forked process that is killed, or whose disk is full, at a chosen write to the disk."""

import errno
import os
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import sqlalchemy

KILLED = 9
WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
FREEING = {"os.remove", "os.rmdir"}  # a full disk lets files be removed


def try_each_write(run: Callable, expected: object, describe: Callable, roots: list[Path], fault: str) -> list[str]:
    """Let a function fail at each of its writes, call it again, and compare what it leaves behind.

    Args:
        run: Function to call.
        expected: What `describe` returned after an undisturbed run.
        describe: Function that returns what is to be compared.
        roots: Folders in which writes count; they are removed before each try.
        fault: See `run_until`.

    Returns:
        A sentence for each write after which an exit code or a result was wrong.
    """
    wrong = []
    clear(roots)
    writes = count_writes(run, roots)
    for write in range(writes):
        clear(roots)
        code = run_until(run, roots, write, fault)
        if code not in ((KILLED, 0) if fault == "killed" else (2, 0)):
            wrong.append(f"write {write}: exit code {code}")
        code = run_until(run, [], 0, fault)
        if code or (found := describe()) != expected:
            wrong.append(f"write {write}, repeated: {code or list_differences(found, expected)}")
    print(f"{writes} writes, {fault}")
    assert writes
    return wrong


def clear(roots: list[Path]) -> None:
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)


def list_differences(found: object, expected: object) -> list[str]:
    if not (isinstance(found, dict) and isinstance(expected, dict)):
        return [f"{found} instead of {expected}"]
    return sorted(set(found) ^ set(expected)) or [key for key in found if found[key] != expected[key]]


def count_writes(run: Callable[[], object], roots: list[Path]) -> int:
    """Return the number of writes below `roots` in an undisturbed run, which happens in this process' child."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        writes = _watch(roots, lambda number, event: None)
        try:
            run()
            os.write(writer, str(len(writes)).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    os.wait()
    with open(reader) as answer:
        return int(answer.read())


def run_until(run: Callable[[], object], roots: list[Path], write: int, fault: str) -> int:
    """Run a function in a child process with a fault at the write of this number, from 0.

    Args:
        run: Function to call.
        roots: Folders in which writes count.
        write: Number of the write.
        fault: "killed": the process ends at once. "full": this and all later writes fail for lack of space.

    Returns:
        The exit code of the child: 9 if it was killed, 2 if it ended with an expected error, 1 after any other error.
    """

    def fail(number: int, event: str) -> None:
        if number >= write and fault == "killed":
            os._exit(KILLED)
        if number >= write and event not in FREEING:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    child = os.fork()
    if child == 0:
        code = 1
        try:
            _watch(roots, fail)
            run()
            code = 0
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            code = 2 if "is full" in str(error) and "\n" not in str(error) else 1
            if code == 1:
                traceback.print_exc()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _watch(roots: list[Path], act: Callable[[int, str], None]) -> list[str]:
    """Call `act` with a running number and the event before each write below `roots`; return the list of the writes.

    A database is written by statements and commits, whose files are not seen from Python.
    """
    starts, writes = tuple(f"{root}{os.sep}" for root in roots), []

    def hook(event: str, arguments: tuple) -> None:
        writing = event in WRITES or (event == "open" and _opens_for_writing(*arguments))
        if writing and isinstance(arguments[0], str | os.PathLike) and str(arguments[0]).startswith(starts):
            writes.append(f"{event} {arguments[0]}")
            act(len(writes) - 1, event)

    def write_database(statement: str) -> None:
        writes.append(statement)
        try:
            act(len(writes) - 1, statement)
        except OSError as error:
            full = sqlite3.OperationalError("database or disk is full")
            raise sqlalchemy.exc.OperationalError(statement, {}, full) from error

    def execute(connection, cursor, statement, *others) -> None:
        if not statement.startswith(("SELECT", "PRAGMA")):
            write_database(statement)

    if roots:
        sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", execute)
        sqlalchemy.event.listen(sqlalchemy.Engine, "commit", lambda connection: write_database("COMMIT"))
    sys.addaudithook(hook)
    return writes


def _opens_for_writing(path: object, mode: str | None, flags: int) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
