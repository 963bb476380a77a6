"""The state file as a database: opened with care, set aside when damaged, every failure told by its cause.

SQLite with a write-ahead log: readers never wait, a commit is whole or absent after kill -9, and with synchronous=FULL
after a power failure too. The few bookkeeping commits that may be lost to a power failure (and only to that) say
`durable=False` and cost no wait for the disk.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import AbstractContextManager, closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from bridge.delivery import schema
from bridge.delivery.errors import NoStore, StoreBusy, StoreDamaged, StoreError, StoreFull, StoreUnusable
from bridge.delivery.lock import give_to_owner_of_directory, locked
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.times import Clock

log = logging.getLogger(__name__)

FILE_NAME: Final = "bridge.sqlite3"
_BUSY_SECONDS: Final = 10.0
"""No transaction here takes longer than a fraction of a second, on a machine that is not in trouble."""
_WAL_BYTES: Final = 4_000_000

_T = TypeVar("_T")


class Database:
    """One process's way to the state file; the connection is made when needed, and again if the file was replaced."""

    def __init__(self, state_dir: Path, clock: Clock, *, create: bool) -> None:
        self.path = state_dir / FILE_NAME
        self._clock = clock
        self._create = create
        self._connection: sqlite3.Connection | None = None
        self._inode = -1
        self._durable = True

    def close(self) -> None:
        """Close the connection; the last one to do so folds the write-ahead log into the file."""
        if self._connection:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):
                connection.close()

    def write(self, work: Callable[[sqlite3.Connection], _T], *, durable: bool = True) -> _T:
        """Run `work` in one transaction: all of it is kept, or nothing.

        A damaged file is set aside and `work` runs again on a new one, so it must be safe to run twice.

        Args:
            work: what to do; it must not commit.
            durable: wait until the disk has it. Without, it survives a crash of the process, not of the machine.

        Raises:
            StoreError: the disk is full, another process is in the way, the file cannot be used.
        """
        return self._run(work, "BEGIN IMMEDIATE", durable=durable)

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` on one consistent state of the file.

        Raises:
            StoreError: the file cannot be used.
        """
        return self._run(work, "BEGIN", durable=self._durable)

    def shrink(self, pages: int) -> None:
        """Give up to so many free pages back to the disk; a failure here shows itself again where it matters."""
        with suppress(sqlite3.Error):
            # Only a script runs this pragma to its end; `execute` would free a single page.
            self._connected().executescript(f"PRAGMA incremental_vacuum({pages});")

    def _run(self, work: Callable[[sqlite3.Connection], _T], begin: str, *, durable: bool) -> _T:
        try:
            return self._once(work, begin, durable=durable)
        except StoreDamaged as error:
            self.close()
            with self._alone():
                if _inode(self.path) == self._inode:  # else another process has done it meanwhile
                    self._set_aside(error)
        return self._once(work, begin, durable=durable)

    def _once(self, work: Callable[[sqlite3.Connection], _T], begin: str, *, durable: bool) -> _T:
        connection = self._connected()
        try:
            if durable is not self._durable:
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            connection.execute(begin)
            result = work(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(connection)
            raise _told(error, self.path) from error
        except BaseException:
            _roll_back(connection)
            raise
        return result

    def _connected(self) -> sqlite3.Connection:
        if self._connection:
            if _inode(self.path) == self._inode:
                return self._connection
            # Another process set the file aside, or somebody removed it: what is written there now would be lost.
            log.warning(Line("store_replaced", path=self.path))
            self.close()
        self._connection = self._opened()
        self._inode = _inode(self.path)
        self._durable = True
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        if not self._create and not self.path.exists():
            raise NoStore(f"there is no {self.path}: no report was ever made, or bridge.state_dir is another one")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.path, error.strerror) from error
        # Recognising, creating and setting aside are done by one process at a time.
        with self._alone():
            try:
                return self._recognised()
            except StoreDamaged as error:
                self._set_aside(error)
                return self._recognised()

    def _recognised(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            # Created here, because SQLite would create it readable by all; its side files take over mode and owner.
            # Never opened when it exists: closing any handle of it would let go of the locks of this process.
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                give_to_owner_of_directory(self.path)
            connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            schema.prepare(connection)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        except OSError as error:
            raise _unusable(self.path, error.strerror) from error
        except sqlite3.Error as error:
            if connection:
                connection.close()
            raise _told(error, self.path) from error
        except StoreError:
            if connection:
                connection.close()
            raise
        return connection

    def _alone(self) -> AbstractContextManager[None]:
        return locked(self.path.with_name("store.lock"), _BUSY_SECONDS)

    def _set_aside(self, reason: StoreDamaged) -> None:
        """Move the file out of the way and begin a new one with what can still be read and must not change."""
        kept = _salvage(self.path)
        moment = datetime.fromtimestamp(self._clock.wall() / 1e6, UTC)
        aside = self.path.with_name(f"{FILE_NAME}.damaged-{moment:%Y%m%dT%H%M%S%fZ}")
        try:
            for suffix in ("-wal", "-shm", ""):
                side = self.path.with_name(FILE_NAME + suffix)
                if side.exists():
                    side.rename(f"{aside}{suffix}")
        except OSError as error:
            raise _unusable(self.path, error.strerror) from error
        log.warning(
            Line(
                "store_set_aside",
                path=self.path,
                reason=reason,
                moved_to=aside,
                lost="queue and history",
                kept=", ".join(sorted(kept)) or "nothing",
            )
        )
        connection = self._recognised()
        with closing(connection), connection:
            for table, rows in kept.items():
                places = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own names


def _salvage(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """What GA4 and the increments need from a damaged file, where it can be read: the Client ID and the totals."""
    kept: dict[str, list[tuple[object, ...]]] = {}
    queries = {
        "meta": "SELECT key, value FROM meta WHERE key = 'client_id'",
        "totals": "SELECT node, creation, stanza_type, total FROM totals",
    }
    for table, query in queries.items():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application == schema.APPLICATION_ID and (rows := connection.execute(query).fetchall()):
                kept[table] = rows
    return kept


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # SQLite has rolled back already after the worst errors
        connection.execute("ROLLBACK")


def _told(error: sqlite3.Error, path: Path) -> Exception:
    """SQLite's errors by their cause. Source: sqlite.org/rescode.html."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return error  # a mistake of ours, not of the file
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StoreFull(f"the disk has no room for {path}; nothing was changed. Free some space")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(f"another process has held {path} for {_BUSY_SECONDS:g} s; is one of them stuck?")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreDamaged(f"{error}")
        case (
            sqlite3.SQLITE_READONLY
            | sqlite3.SQLITE_CANTOPEN
            | sqlite3.SQLITE_PERM
            | sqlite3.SQLITE_IOERR
            | sqlite3.SQLITE_AUTH
        ):
            return _unusable(path, f"{error} ({error.sqlite_errorname})")
        case _:
            return error


def _unusable(path: Path, reason: str | None) -> StoreUnusable:
    return StoreUnusable(
        f"the queue {path} cannot be used: {reason}; "
        "bridge.state_dir has to be a directory on a local disk with room, that this user may write"
    )
