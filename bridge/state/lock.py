"""Locks between processes, on files: the kernel lets go of one when its holder dies, however it dies."""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from bridge.files import open_own
from bridge.state.errors import StateBusy, StateUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_WAIT: Final = "wait for it to end, or stop it"
_LOOK_SECONDS: Final = 0.02
"""Between two attempts: flock has no deadline of its own, and a thread that blocks in it cannot be stopped."""


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold a lock for a moment, without an event loop.

    Raises:
        StateBusy: another process holds it for longer than `seconds`.
        StateUnusable: the lock file cannot be opened or locked.
    """
    with _opened(path) as descriptor:
        for pause in _until_taken(path, descriptor, seconds):
            time.sleep(pause)
        yield


@asynccontextmanager
async def holding(path: Path, seconds: float = math.inf, remedy: str = _WAIT) -> AsyncIterator[None]:
    """Hold a lock for as long as the block runs; others wait, up to their own deadline.

    Raises:
        StateBusy: another process holds it for longer than `seconds`.
        StateUnusable: the lock file cannot be opened or locked.
    """
    with _opened(path) as descriptor:
        for pause in _until_taken(path, descriptor, seconds, remedy):
            await asyncio.sleep(pause)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise unusable(path, error.strerror) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def unusable(path: Path, reason: str | None) -> StateUnusable:
    """The error of a file in the state directory that cannot be used, with who may use it."""
    owner = "no user can look at it"
    for directory in path.parents:
        with suppress(OSError):
            whose = "it" if directory == path.parent else directory
            owner = f"{whose} belongs to user {directory.stat().st_uid}, this is user {os.geteuid()}"
            break
    return StateUnusable(
        f"{path} in the state directory cannot be used: {reason}",
        f"bridge.state_dir has to be a directory on a local disk with room that this user may write ({owner})",
    )


def _until_taken(path: Path, descriptor: int, seconds: float, remedy: str = _WAIT) -> Iterator[float]:
    """Pauses to make before the lock is ours."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise _busy(path, descriptor, seconds, remedy) from None
            yield _LOOK_SECONDS
        except OSError as error:  # a file system without locks
            raise unusable(path, f"no lock can be taken on it: {error.strerror}") from error
        else:
            return


def _busy(path: Path, descriptor: int, seconds: float, remedy: str) -> StateBusy:
    holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    who = f"process {holder}" if holder.isdigit() else "another process"
    longer = f" for more than {seconds:g} s" if seconds else ""
    return StateBusy(f"{who} holds {path}{longer}", remedy)
