"""Run a function in a forked process that is killed, or whose disk is full, at a chosen write to the disk."""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

KILLED = 9
WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


def count_writes(run: Callable[[], object], roots: list[Path]) -> int:
    """Return the number of writes below `roots` in an undisturbed run, which happens in this process' child."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        writes = _watch(roots, lambda number, event: None)
        run()
        os.write(writer, str(len(writes)).encode())
        os._exit(0)
    os.wait()
    return int(os.read(reader, 100))


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
        if number >= write and event not in ("os.remove", "os.rmdir"):  # a full disk lets files be removed
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    child = os.fork()
    if child == 0:
        code = 1
        try:
            _watch(roots, fail)
            run()
            code = 0
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            code = 2 if "full" in str(error) else 1
            if code == 1:
                traceback.print_exc()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _watch(roots: list[Path], act: Callable[[int, str], None]) -> list[str]:
    """Call `act` with a running number and the event before each write below `roots`; return the list of the writes."""
    starts, writes = tuple(f"{root}{os.sep}" for root in roots), []

    def hook(event: str, arguments: tuple) -> None:
        writing = event in WRITES or (event == "open" and _opens_for_writing(*arguments))
        if writing and isinstance(arguments[0], str | os.PathLike) and str(arguments[0]).startswith(starts):
            writes.append(f"{event} {arguments[0]}")
            act(len(writes) - 1, event)

    sys.addaudithook(hook)
    return writes


def _opens_for_writing(path: object, mode: str | None, flags: int) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
