"""A state file that is damaged, foreign, full or out of reach is told by its cause, and costs no more than it must."""

import logging
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bridge.state.errors import StateBusy, StateError, StateFull, StateTooNew, StateUnusable
from bridge.state.state import State
from tests.delivery.support import destination, keep, report

A = destination("http://a/mp/collect", "G-AAAA")


FORMAT_1 = (Path(__file__).parent / "format_1.sql").read_text()


def file_of(state: Path) -> Path:
    return state / "bridge.sqlite3"


def set_aside(state: Path) -> list[Path]:
    return [path for path in state.iterdir() if ".damaged-" in path.name and not path.name.endswith(("-wal", "-shm"))]


def filled(state: Path, events: int = 3000) -> bytes:
    """The bytes of a state file with a report."""
    with State.open(state) as store:
        keep(store, report(events), [A])
        store.database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('client_id', '11.22')"))
    return file_of(state).read_bytes()


def written(state: Path, statements: str) -> bytes:
    """The bytes of a database that these statements make."""
    with closing(sqlite3.connect(file_of(state))) as connection:
        connection.executescript(statements)
    return file_of(state).read_bytes()


def noise(whole: bytes, first: int = 0, last: int | None = None) -> bytes:
    return whole[:first] + os.urandom(len(whole[first:last])) + (b"" if last is None else whole[last:])


def queue_of_format_1(state: Path) -> bytes:
    """A file of the first format with noise where its queue was."""
    whole = written(state, FORMAT_1)
    with closing(sqlite3.connect(file_of(state))) as old:
        (page,) = old.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'queue'").fetchone()
        (size,) = old.execute("PRAGMA page_size").fetchone()
    return noise(whole, (page - 1) * size, page * size)


FOREIGN = "CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('client_id', 'stolen');"
PICTURES = b"these are my holiday pictures\n" * 1000


@pytest.mark.parametrize(
    ("damaged", "kept"),
    [
        pytest.param(lambda _: PICTURES, "nothing", id="no database"),
        pytest.param(lambda state: written(state, FOREIGN), "nothing", id="of another program"),
        *(
            pytest.param(lambda state, first=first: noise(filled(state), first), "nothing", id=f"noise from {first} on")
            for first in (0, 1, 100)
        ),
        pytest.param(lambda state: filled(state)[:100_000], "nothing", id="cut short"),
        pytest.param(lambda state: noise(filled(state), -200_000), "meta, totals", id="noise in the queue"),
        pytest.param(queue_of_format_1, "meta, totals", id="noise in the queue of the first format"),
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside_and_gives_what_can_be_read_to_a_new_one(
    state: Path, caplog: pytest.LogCaptureFixture, damaged: Callable[[Path], bytes], kept: str
) -> None:
    state.mkdir()
    before = damaged(state)
    file_of(state).write_bytes(before)
    with State.open(state) as store:
        salvaged = (store.kept_client_id(), store.stanza_totals())
        assert salvaged == {"meta, totals": ("11.22", report().totals), "nothing": (None, {})}[kept]
        for _ in range(2):
            keep(store, report(), [A])
            assert {one.report for one in store.queue.take(A.id, 1000)} == {one.id for one in store.status().reports}
        assert len(store.status().reports) == 2, "queue and history are lost, and made anew"
    (aside,) = set_aside(state)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.msg.what == "state_set_aside"
    assert (record.msg.fields["moved_to"], record.msg.fields["kept"]) == (aside, kept)


def test_what_is_set_aside_is_not_touched(state: Path) -> None:
    state.mkdir()
    for before in (PICTURES, written(state, FOREIGN)):
        file_of(state).write_bytes(before)
        State.open(state).close()
        assert max(set_aside(state)).read_bytes() == before


def test_an_empty_file_is_a_new_one(state: Path) -> None:
    state.mkdir()
    file_of(state).touch()
    with State.open(state) as store:
        keep(store, report(), [A])
    assert set_aside(state) == []


async def test_a_process_that_has_the_file_open_follows_to_the_new_one_with_its_next_report(state: Path) -> None:
    with State.open(state) as one, State.open(state) as two:
        keep(one, report(), [A])
        keep(two, report(), [A])
        file_of(state).rename(state / "elsewhere")
        async with two.reporting():
            number = keep(two, report(), [A])
        async with one.delivering(A.id):
            assert [found.id for found in one.status().reports] == [number]


async def test_damage_that_one_process_meets_is_set_aside_once_and_the_others_follow(state: Path) -> None:
    whole = filled(state)
    with State.open(state) as one:
        file_of(state).write_bytes(whole[:5000] + b"\xff" * (len(whole) - 5000))
        with State.open(state) as two:
            for opened in (two, one, two, one):
                async with opened.reporting():
                    keep(opened, report(), [A])
            assert len(one.status().reports) == 4
    assert len(set_aside(state)) == 1


def test_a_file_of_a_newer_release_is_left_alone(state: Path) -> None:
    filled(state)
    with closing(sqlite3.connect(file_of(state))) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StateTooNew, match="format 99, this release knows 4"):
        State.open(state)
    assert set_aside(state) == []


def test_a_state_directory_that_is_a_file_is_told(state: Path) -> None:
    state.write_text("")
    with pytest.raises(StateUnusable, match=r"state.*File exists.*bridge\.state_dir"):
        State.open(state)


def test_a_state_directory_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match=r"Not a directory.*bridge\.state_dir"):
        State.open(tmp_path / "file" / "state")


def test_another_process_that_never_ends_its_transaction_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.state.database.BUSY_SECONDS", 0.2)
    with State.open(state) as store, closing(sqlite3.connect(file_of(state))) as other:
        keep(store, report(), [A])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateBusy, match="another process has held"):
            keep(store, report(), [A])
        other.execute("ROLLBACK")
        keep(store, report(), [A])
        assert len(store.status().reports) == 2


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    path.mkdir(exist_ok=True)
    command = ["mount", *options, str(path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_read_only_directory_is_told_and_what_was_there_stays(state: Path) -> None:
    filled(state, 3)
    with mounted(state, "--bind", str(state)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(state)], check=True)
        with pytest.raises(StateUnusable, match=r"(?i)read-only.*bridge\.state_dir"):
            State.open(state)
    with State.open(state) as store:
        assert len(store.status().reports) == 1


def test_a_full_disk_is_told_and_nothing_is_half_written(state: Path) -> None:
    with mounted(state, "-t", "tmpfs", "-o", "size=512k", "tmpfs"):
        with State.open(state) as store:
            number = keep(store, report(total=1), [A])
            with pytest.raises(StateFull, match=r"the disk has no room for .*bridge\.sqlite3"):
                keep(store, report(20_000, total=2), [A])
            assert [found.id for found in store.status().reports] == [number]
            assert store.stanza_totals() == report(total=1).totals
            assert len(store.queue.take(A.id, 10)) == 1
            number = keep(store, report(total=3), [A])
            assert len(store.queue.take(A.id, 10)) == 2
        with closing(sqlite3.connect(file_of(state))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_disk_without_any_room_is_told(state: Path) -> None:
    with mounted(state, "-t", "tmpfs", "-o", "size=16k", "tmpfs"):
        (state / "filler").write_bytes(b"x" * 12_288)
        with pytest.raises(StateError, match=r"room"):
            State.open(state)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from bridge.state.errors import StateError
from bridge.state.state import State
from tests.delivery.support import destination, keep, report
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
to = destination("http://a/mp/collect", "G-AAAA")
with State.open(Path(sys.argv[1])) as store:
    keep(store, report(), [to])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        keep(store, report(20_000), [to])
    except StateError as error:
        print("told:", error)
    keep(store, report(), [to])
    print("reports:", len(store.status().reports))
"""


def test_a_quota_is_told_and_nothing_is_half_written(state: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, state], capture_output=True, text=True, timeout=60, check=False
    )
    assert "told: " in run.stdout, run.stderr
    assert "room" in run.stdout
    assert run.stdout.splitlines()[-1] == "reports: 2"
    with closing(sqlite3.connect(file_of(state))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
