"""What keeps reports from being kept on this machine is recognised as itself, and nothing is touched by looking."""

from __future__ import annotations

import codecs
import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.app import Installation
from bridge.config.load import Loaded
from bridge.config.model import BridgeSection, Settings
from bridge.delivery.ga4 import Ga4Destination
from bridge.doctor.steps import STORAGE, Section, Sheet
from bridge.doctor.storage import examine_storage
from bridge.report.model import Event, Report
from bridge.secret import Secret
from bridge.state.queue import Bounds, Outcome, Settled, Target
from bridge.state.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

DESTINATION = Ga4Destination("G-AAAA1", Secret("s"))
NOBODY = 65534


def examined_here(settings: BridgeSection) -> dict[str, tuple[str, str]]:
    """The steps alone, in this process: state and text of each."""
    installation = Installation(None, {}, {})
    installation.__dict__["loaded"] = Loaded(Settings(bridge=settings), {})
    sheet = Sheet(Section.DELIVERY, STORAGE)
    examine_storage(installation, sheet)
    said: dict[str, tuple[str, str]] = {}
    for each in sheet.results:
        state, text = said.get(each.step, ("", ""))
        said[each.step] = (max(each.state, state), f"{text}{each.found} {each.advice}")
    return said


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """For root nothing is read-only."""
    codecs.lookup("ascii")  # nobody can load it from root's Python, and that it cannot be loaded is remembered
    user = os.geteuid()
    os.seteuid(NOBODY if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("mode", [0o555, 0o700])
def test_directories_that_are_read_only_or_closed(public: Path, mode: int) -> None:
    for name in ("log", "state"):
        (public / name).mkdir()
    (public / "log").chmod(0o555)
    closed = public / "state" / "deep"
    (public / "state").chmod(mode)
    with as_nobody():
        if os.geteuid() != NOBODY and mode == 0o700:
            pytest.skip("needs root, to become somebody else")
        found = examined_here(BridgeSection(log_dir=str(public / "log"), state_dir=str(closed)))
    for step, path, key in (
        ("log directory", public / "log", "bridge.log_dir"),
        ("state directory", public / "state", "bridge.state_dir"),
    ):
        state, text = found[step]
        assert state == "failure"
        assert f"{path} cannot be written: Permission denied" in text
        assert key in text


def test_a_file_where_the_log_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    state, text = examined_here(BridgeSection(log_dir=str(tmp_path / "log"), state_dir=str(tmp_path)))["log directory"]
    assert state == "failure"
    assert "cannot be written" in text
    assert "bridge.log_dir" in text


def test_less_room_than_the_queue_may_need_and_none_at_all(tmp_path: Path) -> None:
    settings = BridgeSection(log_dir=str(tmp_path), state_dir=str(tmp_path), queue_max_bytes=2**62)
    state, text = examined_here(settings)["disk space"]
    assert state == "warning"
    assert "less than the queue may need" in text
    assert "queue_max_bytes" in text
    state, text = examined_here(BridgeSection(log_dir="/proc/self", state_dir="/proc/self"))["disk space"]
    assert state == "failure"
    assert "0 MB free" in text


# the queue


def queue(directory: Path, **settings: int) -> tuple[str, str]:
    """State and text of the step."""
    return examined_here(BridgeSection(state_dir=str(directory), log_dir=str(directory), **settings))["queue"]


@pytest.fixture
def reported(tmp_path: Path) -> Path:
    """The state file, after reports."""
    with State.open(tmp_path) as store:
        for _ in range(20):
            keep(store, time.time_ns() // 1000)
    return tmp_path / "bridge.sqlite3"


@pytest.mark.parametrize(("kept", "words"), [(4096, ""), (0, "not a database")])
def test_a_queue_that_is_damaged_is_not_touched(tmp_path: Path, reported: Path, kept: int, words: str) -> None:
    whole = reported.read_bytes()
    half = len(whole) // 4096 // 2 * 4096
    reported.write_bytes(whole[:kept] + b"\x5a" * (half - kept) + whole[half:])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    state, text = queue(tmp_path)
    assert state == "failure"
    assert str(reported) in text
    assert words in text
    assert "sets it aside" in text
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("pragma", "words"), [("application_id", "another program"), ("user_version", "newer release")]
)
def test_a_database_of_another_program_or_a_newer_release(
    tmp_path: Path, reported: Path, pragma: str, words: str
) -> None:
    with contextlib.closing(sqlite3.connect(reported)) as connection:
        connection.execute(f"PRAGMA {pragma} = 12345678")
        connection.commit()
    state, text = queue(tmp_path)
    assert state == "failure"
    assert words in text


def test_what_waits_because_its_destination_fails(tmp_path: Path) -> None:
    with State.open(tmp_path) as store:
        keep(store, time.time_ns() // 1000)
        (batch,) = store.queue.take(DESTINATION.id, 1)
        store.queue.settle(DESTINATION.id, [Settled(batch, Outcome.RETRY, "answered 503")])
    state, text = queue(tmp_path)
    assert state == "warning"
    assert "1 batches wait since" in text
    assert "503" in text


def keep(store: State, collected_at: int) -> None:
    """A report that may be sent to a destination."""
    report = Report("1.2", collected_at, (Event("host_count", {"value": 1}),), {})
    store.published(store.add(report, [Target(DESTINATION.id, DESTINATION.name, DESTINATION.batches(report))]))


def test_a_queue_that_a_running_service_has_open_is_read_as_it_is_now(tmp_path: Path) -> None:
    """What is in the write-ahead log counts, and the service is not disturbed."""
    two_days_ago = time.time_ns() // 1000 - 2 * 86_400 * 10**6
    with State.open(tmp_path) as store:
        keep(store, two_days_ago)
        assert (tmp_path / "bridge.sqlite3-wal").stat().st_size > 0
        state, text = queue(tmp_path)
        assert state == "warning"
        assert "1 batches wait" in text
        assert "is the service running" in text
        assert store.status().destinations[0].queued_batches == 1


def test_what_a_crash_left_is_read_and_not_mended(tmp_path: Path) -> None:
    """The write-ahead log has all of it; the next report folds it in, looking must not."""
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with State.open(tmp_path) as store:
        keep(store, 1_000_000)
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"bridge.sqlite3{suffix}", crashed)
    before = {path.name: path.read_bytes() for path in crashed.iterdir()}
    state, text = queue(crashed)
    assert state == "warning"
    assert "1 batches wait since 1970-01-01" in text
    assert {name: (crashed / name).read_bytes() for name in before} == before


def test_what_was_given_up_lately_and_a_queue_that_is_half_full(tmp_path: Path) -> None:
    with State.open(tmp_path, bounds=Bounds(batches=3)) as store:
        for _ in range(5):
            keep(store, time.time_ns() // 1000)
    state, text = queue(tmp_path)
    assert state == "warning"
    assert "2 events were given up (too many batches)" in text
    assert "3 batches wait, of at most 5" in queue(tmp_path, queue_max_batches=5)[1]
