"""The state file as a database: checked when it is opened, set aside when damaged, every failure told by its cause.

SQLite with a write-ahead log: readers never wait, a commit is whole or absent after kill -9, and with synchronous=FULL
after a power failure too. The few bookkeeping commits that may be lost to a power failure (and only to that) say
`durable=False` and cost no wait for the disk.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from bridge.files import open_own
from bridge.log import Line
from bridge.state import schema
from bridge.state.errors import StateBusy, StateDamaged, StateError, StateFull
from bridge.state.lock import locked, unusable
from bridge.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bridge.times import Clock

log = logging.getLogger(__name__)

FILE_NAME: Final = "bridge.sqlite3"
BUSY_SECONDS: Final = 10.0
"""No transaction here takes longer than a fraction of a second, on a machine that is not in trouble."""
CHECK_SECONDS: Final = 5.0
"""For the check of a file; what is not checked by then is found out when it is read."""
_WAL_BYTES: Final = 4_000_000
_ASIDE: Final = (
    "the next report sets it aside and begins a new one: what waits in it is lost, so put a backup in its place before"
    " if there is one, and check the disk"
)
_UNUSABLE: Final = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_PROTOCOL,
    }
)

_T = TypeVar("_T")


class Database:
    """One process's way to the state file.

    Args:
        state_dir: where the file is.
        clock: names a file that is set aside.
        look: only look: nothing is created, locked, mended or set aside, and the directory may be read-only.
    """

    def __init__(self, state_dir: Path, clock: Clock, *, look: bool) -> None:
        self.path = state_dir / FILE_NAME
        self._clock = clock
        self._look = look
        self._connection: sqlite3.Connection | None = None
        self._inode = -1

    def open(self) -> sqlite3.Connection:
        """Open the file if it is not, and again if another process has replaced it: what is written there now counts.

        Raises:
            StateError: it cannot be used.
        """
        if self._connection:
            if _inode(self.path) == self._inode:
                return self._connection
            log.warning(Line("state_replaced", path=self.path))
            self.close()
        with _causes(self.path):
            self._connection = self._looked_at() if self._look else self._opened()
        self._inode = _inode(self.path)
        return self._connection

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
            StateError: the disk is full, another process is in the way, the file cannot be used.
        """
        return self._run(work, f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}", "BEGIN IMMEDIATE")

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` on one consistent state of the file.

        Raises:
            StateError: the file cannot be used.
        """
        return self._run(work, "BEGIN")

    def shrink(self, pages: int) -> None:
        """Give up to so many free pages back to the disk; a failure here shows itself again where it matters."""
        if self._connection:
            with suppress(sqlite3.Error):
                # Only a script runs this pragma to its end; `execute` would free a single page.
                self._connection.executescript(f"PRAGMA incremental_vacuum({pages});")

    def check(self) -> None:
        """Read all of the file, for as long as `CHECK_SECONDS`.

        Raises:
            StateDamaged: it is corrupt.
        """
        connection = self.open()
        with _causes(self.path):
            _check(connection, self.path)

    def _run(self, work: Callable[[sqlite3.Connection], _T], *begin: str) -> _T:
        try:
            return self._once(work, *begin)
        except StateDamaged:
            if self._look:
                raise
            self.close()  # opened again it is checked, and set aside
            return self._once(work, *begin)

    def _once(self, work: Callable[[sqlite3.Connection], _T], *begin: str) -> _T:
        connection = self._connection or self.open()
        with _causes(self.path), connection:  # which commits, or rolls back
            for statement in begin:
                connection.execute(statement)
            return work(connection)

    def _looked_at(self) -> sqlite3.Connection:
        memory = sqlite3.connect(":memory:", isolation_level=None)
        if self.path.exists():
            # Without a write-ahead log nobody has the file open, and SQLite can be kept from making files beside it.
            alone = not self.path.with_name(f"{FILE_NAME}-wal").exists()
            uri = f"{self.path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
            connection = sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)
            if schema.is_current(connection):
                memory.close()
                return connection
            with closing(connection):
                connection.backup(memory)
        schema.prepare(memory)  # nothing is there, or it is of an older release: seen as it will be
        return memory

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Creating, checking and setting aside are done by one process at a time.
        with locked(self.path.with_name("store.lock"), BUSY_SECONDS):
            try:
                return self._checked()
            except StateDamaged as error:
                return self._set_aside(error)

    def _checked(self) -> sqlite3.Connection:
        self._create()
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            with _causes(self.path):
                schema.prepare(connection)
                for pragma in ("journal_mode = WAL", "foreign_keys = ON", f"journal_size_limit = {_WAL_BYTES}"):
                    connection.execute(f"PRAGMA {pragma}")
                _check(connection, self.path)
        except StateError:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """Make the file, since SQLite would make it readable by all; its side files take over mode and owner.

        One that exists is not opened: closing any descriptor of it would let go of the locks of this process.
        """
        with suppress(FileExistsError):
            os.close(open_own(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
            return
        found = self.path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise unusable(self.path, "it is a link or not a regular file; remove it")

    def _set_aside(self, reason: StateDamaged) -> sqlite3.Connection:
        """Move the file out of the way and begin a new one with what can still be read and must not change."""
        kept = _salvage(self.path)
        suffix = f".damaged-{moment(self._clock.wall())}-{self._clock.elapsed()}".replace(":", "")
        aside = self.path.with_name(FILE_NAME + suffix)
        for side in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                self.path.with_name(FILE_NAME + side).rename(f"{aside}{side}")
        log.warning(
            Line(
                "state_set_aside",
                path=self.path,
                reason=reason,
                moved_to=aside,
                lost="queue and history",
                kept=", ".join(sorted(kept)) or "nothing",
            )
        )
        connection = self._checked()
        with connection:
            connection.execute("BEGIN")
            for table, rows in kept.items():
                places = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own names
        return connection


@contextmanager
def _causes(path: Path) -> Iterator[None]:
    """Raise SQLite's and the system's errors by their cause. Source: sqlite.org/rescode.html."""
    try:
        yield
    except OSError as error:
        raise unusable(path, error.strerror) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            full = f"the disk has no room for {path}; nothing was changed"
            raise StateFull(full, "free some space") from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            held = f"another process has held {path} for {BUSY_SECONDS:g} s"
            raise StateBusy(held, "is one of them stuck?") from error
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise StateDamaged(f"{path}: {error}", _ASIDE) from error
        if code in _UNUSABLE:
            raise unusable(path, f"{error} ({error.sqlite_errorname})") from error
        raise  # a mistake of ours, not of the file


def _check(connection: sqlite3.Connection, path: Path) -> None:
    give_up = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > give_up, 10_000)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        found = "ok"
    finally:
        connection.set_progress_handler(None, 0)
    if found != "ok":
        raise StateDamaged(f"{path}: {str(found).splitlines()[-1]}", _ASIDE)


def _salvage(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """What GA4 and the increments need from a damaged file of any format, where it can be read."""
    kept: dict[str, list[tuple[object, ...]]] = {}
    queries = {
        "meta": "SELECT key, value FROM meta WHERE key IN ('client_id', 'contract')",
        "totals": "SELECT node, creation, stanza_type, total FROM totals",
    }
    for table, query in queries.items():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application == schema.APPLICATION_ID and (rows := connection.execute(query).fetchall()):
                kept[table] = rows
    return kept


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1
