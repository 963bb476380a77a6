"""What keeps reports from being kept on this machine is recognised as itself, and nothing is touched by looking."""

from __future__ import annotations

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
from bridge.doctor.storage import examine_storage
from bridge.report.model import Event, Report
from bridge.secret import Secret
from bridge.state.queue import Bounds, Target
from bridge.state.state import State
from tests.doctor.conftest import examined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.bridge import Bridge
    from tests.support.emulator import RunningEmulator

DELIVERY = 1
NOBODY = 65534


def examined_here(settings: BridgeSection) -> dict[str, tuple[str, str]]:
    """The steps alone, in this process: state and text of each, a step's worst result last."""
    installation = Installation(None, {}, {})
    installation.__dict__["loaded"] = Loaded(Settings(bridge=settings), {})
    results = examine_storage(installation).results
    return {each.step: (each.state, f"{each.found} {each.advice}") for each in results}


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


def test_a_file_where_the_log_directory_should_be(bridge: Bridge) -> None:
    bridge.log_dir.write_text("a file")
    found = examined(bridge)
    found.fails_at("log directory", "cannot be written", "bridge.log_dir", code=DELIVERY)


def test_less_room_than_the_queue_may_need(bridge: Bridge) -> None:
    bridge.settings = f"queue_max_bytes = {2**62}"
    bridge.configure()
    examined(bridge).warns_at("disk space", "less than the queue may need", "queue_max_bytes")


def test_no_room_at_all() -> None:
    found = examined_here(BridgeSection(log_dir="/proc/self", state_dir="/proc/self"))
    assert found["disk space"][0] == "failure"
    assert "0 MB free" in found["disk space"][1]


# the queue


@pytest.fixture
def reported(bridge: Bridge) -> Path:
    """The state file, after a report."""
    assert bridge.run("report").code == 0
    return bridge.state_dir / "bridge.sqlite3"


def state_of(bridge: Bridge) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bridge.state_dir.iterdir()}


def test_a_queue_whose_pages_are_overwritten(bridge: Bridge, reported: Path) -> None:
    whole = reported.read_bytes()
    page = len(whole) // 4096 // 2 * 4096
    reported.write_bytes(whole[:4096] + b"\x5a" * page + whole[4096 + page :])
    before = state_of(bridge)
    examined(bridge).fails_at("queue", str(reported), "sets it aside", code=DELIVERY)
    assert state_of(bridge) == before


def test_a_queue_that_is_no_database(bridge: Bridge, reported: Path) -> None:
    reported.write_bytes(b"not a database, and longer than its header would be" * 100)
    before = state_of(bridge)
    examined(bridge).fails_at("queue", "not a database", "sets it aside", code=DELIVERY)
    assert state_of(bridge) == before


@pytest.mark.parametrize(
    ("pragma", "words"), [("application_id", "another program"), ("user_version", "newer release")]
)
def test_a_database_of_another_program_or_a_newer_release(
    bridge: Bridge, reported: Path, pragma: str, words: str
) -> None:
    with contextlib.closing(sqlite3.connect(reported)) as connection:
        connection.execute(f"PRAGMA {pragma} = 12345678")
        connection.commit()
    examined(bridge).fails_at("queue", words, code=DELIVERY)


def test_what_waits_because_its_destination_fails(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.fail("503")
    assert bridge.run("report", MONGOOSEIM_BRIDGE_DELIVER_TIMEOUT="1000").code == 1
    found = examined(bridge)
    assert "503" in found.of("queue")["found"]
    assert "wait since" in found.of("queue")["found"]
    assert found.of("queue")["state"] == "warning"
    assert found.of("answer")["state"] == "ok"


def keep(store: State, collected_at: int) -> None:
    """A report that may be sent to a destination."""
    to, report = (
        Ga4Destination("G-AAAA1", Secret("s")),
        Report("1.2", collected_at, (Event("host_count", {"value": 1}),), {}),
    )
    store.published(store.add(report, [Target(to.id, to.name, to.batches(report))]))


def test_a_queue_that_a_running_service_has_open_is_read_as_it_is_now(tmp_path: Path) -> None:
    """What is in the write-ahead log counts, and the service is not disturbed."""
    two_days_ago = time.time_ns() // 1000 - 2 * 86_400 * 10**6
    with State.open(tmp_path) as store:
        keep(store, two_days_ago)
        assert (tmp_path / "bridge.sqlite3-wal").stat().st_size > 0
        state, text = examined_here(BridgeSection(state_dir=str(tmp_path), log_dir=str(tmp_path)))["queue"]
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
    state, text = examined_here(BridgeSection(state_dir=str(crashed), log_dir=str(tmp_path)))["queue"]
    assert state == "warning"
    assert "1 batches wait since 1970-01-01" in text
    assert {name: (crashed / name).read_bytes() for name in before} == before


def test_what_was_given_up_lately(tmp_path: Path) -> None:
    now = time.time_ns() // 1000
    with State.open(tmp_path, bounds=Bounds(batches=1)) as store:
        for _ in range(3):
            keep(store, now)
    state, text = examined_here(BridgeSection(state_dir=str(tmp_path), log_dir=str(tmp_path)))["queue"]
    assert state == "warning"
    assert "2 events were given up (too many batches)" in text


def test_a_queue_that_is_half_full(tmp_path: Path) -> None:
    now = time.time_ns() // 1000
    with State.open(tmp_path) as store:
        for _ in range(3):
            keep(store, now)
    settings = BridgeSection(state_dir=str(tmp_path), log_dir=str(tmp_path), queue_max_batches=5)
    assert "3 batches wait, of at most 5" in examined_here(settings)["queue"][1]
