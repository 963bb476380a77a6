"""Locks between processes, on files: the kernel lets go of one when its holder dies, however it dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import StoreBusy, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_PATIENCE: Final = 0.02
"""Seconds between two looks."""


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold a lock for a moment, without an event loop.

    Raises:
        StoreBusy: another process holds it for longer than `seconds`.
        StoreUnusable: the lock file cannot be opened.
    """
    handle = _opened(path)
    try:
        for pause in _until_taken(path, handle, seconds):
            time.sleep(pause)
        yield
    finally:
        os.close(handle)


@asynccontextmanager
async def holding(path: Path, seconds: float) -> AsyncIterator[None]:
    """Hold a lock for as long as a report takes; others wait, up to their own deadline.

    Raises:
        StoreBusy: another process holds it for longer than `seconds`.
        StoreUnusable: the lock file cannot be opened.
    """
    handle = _opened(path)
    try:
        for pause in _until_taken(path, handle, seconds):
            await asyncio.sleep(pause)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_to_owner_of_directory(path)
    except OSError as error:
        raise StoreUnusable(
            f"{path} cannot be opened: {error.strerror}; "
            "bridge.state_dir has to be a directory that this user may write"
        ) from error
    return handle


def give_to_owner_of_directory(path: Path) -> None:
    """What root creates by hand in a service's directory must not shut the service out."""
    if os.geteuid() == 0:
        directory = path.parent.stat()
        os.chown(path, directory.st_uid, directory.st_gid)


def _until_taken(path: Path, handle: int, seconds: float) -> Iterator[float]:
    """Pauses to make before the lock is ours; flock has no deadline of its own."""
    give_up = time.monotonic() + seconds
    while not _taken(handle):
        if time.monotonic() >= give_up:
            raise _busy(path, handle, seconds)
        yield _PATIENCE


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(path: Path, handle: int, seconds: float) -> StoreBusy:
    holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
    who = f"process {holder}" if holder.isdigit() else "another process"
    return StoreBusy(f"{who} holds {path} for more than {seconds:g} s; wait for its report to end, or stop it")
