"""Signals at every moment, from a real process to a real process, with a destination that is slow."""

from __future__ import annotations

import signal
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.support import FAST, IDLE, kept, poll, rows, running, sent
from tests.support.bridge import Bridge
from tests.support.emulator import RunningEmulator, running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from erlang_stubs.cluster import StubCluster


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[RunningEmulator]:
    with running_emulator(tmp_path / "record.jsonl") as running:
        yield running


@pytest.fixture
def bridge(tmp_path: Path, default_cluster: StubCluster, emulator: RunningEmulator) -> Bridge:
    return Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,), service=IDLE)


def test_sigusr1_reports_now(bridge: Bridge, emulator: RunningEmulator) -> None:
    with running(bridge) as service:
        service.send(signal.SIGUSR1)
        service.wait_for("delivered")
        assert kept(bridge) == sent(emulator.accepted())


def test_many_sigusr1_at_once_make_one_report_more_not_many(bridge: Bridge) -> None:
    with running(bridge) as service:
        for _ in range(50):
            service.send(signal.SIGUSR1)
        service.wait_for("report_collected")
    assert len(kept(bridge)) <= 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_stops_at_once_with_0(bridge: Bridge, number: signal.Signals) -> None:
    with running(bridge) as service:
        began = time.monotonic()
        service.send(number)
        assert service.ended() == 0
        assert time.monotonic() - began < 3
    assert rows(bridge, "SELECT value FROM meta WHERE key = 'next_report_at'") == []


def test_what_is_under_way_is_delivered_before_it_stops(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.fail("slow=1")
    with running(bridge) as service:
        service.report()
        assert service.stop() == 0
    assert kept(bridge) == sent(emulator.accepted())
    assert rows(bridge, "SELECT COUNT(*) FROM queue") == [(0,)]


def test_what_cannot_be_delivered_in_time_stays_queued(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.fail("hang")
    with running(bridge) as service:
        service.report()
        began = time.monotonic()
        assert service.stop() == 0
        assert 4 < time.monotonic() - began < 10
    assert rows(bridge, "SELECT SUM(events) FROM queue") == [(90,)]


def test_a_second_signal_does_not_wait_for_the_first(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.fail("hang")
    with running(bridge) as service:
        service.report()
        service.send(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        service.send(signal.SIGTERM)
        assert service.ended() == 0
        assert time.monotonic() - began < 2


def test_it_stops_in_time_while_a_node_does_not_answer(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    cluster = start_cluster("default", 1)
    bridge = Bridge(tmp_path / "bridge", cluster.environ, service=IDLE)
    with running(bridge) as service:
        service.report()
        cluster.nodes[0].pause()
        service.send(signal.SIGUSR1)
        time.sleep(0.3)
        assert service.stop() == 0
    assert len(kept(bridge)) == 1


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.3, 0.5])
def test_a_signal_while_it_starts_ends_it_or_is_too_early_for_python(bridge: Bridge, delay: float) -> None:
    with running(bridge, check=False) as service:
        time.sleep(delay)
        service.send(signal.SIGTERM)
        code = service.ended()
    said = service.log("service_started")
    # Before our first line runs, a process dies of SIGTERM, which systemd takes for a clean end as well.
    assert code == 0 if said else code in {0, -signal.SIGTERM}


def test_signals_at_every_moment_lose_nothing_and_send_nothing_twice(bridge: Bridge, emulator: RunningEmulator) -> None:
    bridge.service = FAST.replace("= 1000", "= 300")
    bridge.configure()
    emulator.fail("slow=0.15")
    for number in range(8):
        with running(bridge) as service:
            for step in range(number % 4):
                service.send(signal.SIGUSR1)
                time.sleep(0.03 * step + 0.01 * number)
                service.send(signal.SIGHUP)
            time.sleep(0.07 * number)
            assert service.stop() == 0
    emulator.fail("")
    assert bridge.run("report").code == 0
    history = kept(bridge)
    assert len(history) > 10
    assert sent(emulator.accepted()) == history


def test_report_beside_a_running_service_works(bridge: Bridge, emulator: RunningEmulator) -> None:
    with running(bridge) as service:
        assert bridge.run("report").code == 0
        service.report()
        assert bridge.run("report").code == 0
        poll("all delivered", lambda: sent(emulator.accepted()) == kept(bridge))
    assert sorted(row[0] for row in rows(bridge, "SELECT id FROM reports")) == [1, 2, 3]


def test_status_shows_the_running_service(bridge: Bridge) -> None:
    with running(bridge) as service:
        service.report()
        shown = bridge.run("status", "--format", "json").json()
        assert shown["reports"][0]["id"] == 1
        due, seen = (datetime.fromisoformat(shown["service"][key]) for key in ("next_report_at", "seen_at"))
        assert timedelta(seconds=500) < due - datetime.now(UTC) <= timedelta(seconds=600)
        assert abs(seen - datetime.now(UTC)) < timedelta(seconds=35)
    assert "run" in bridge.run("status").out


def test_a_second_service_on_the_same_state_directory_says_so_and_exits(bridge: Bridge) -> None:
    with running(bridge) as service:
        result = bridge.run("run")
        assert result.code == 5
        assert f"process {service.process.pid}" in result.err
        assert "state_dir" in result.err
        assert len(result.err.splitlines()) == 1
    with running(bridge):
        pass


def test_after_a_kill_the_next_service_starts_and_delivers_what_was_left(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    emulator.fail("503")
    with running(bridge, check=False) as service:
        service.wait_for("service_started")
        service.send(signal.SIGUSR1)
        service.wait_for("delivery_failing")
        service.process.kill()
        service.process.wait()
    emulator.fail("")
    with running(bridge):
        # its claims are free after a minute at most; what it held no claim on goes at once
        poll("delivered", lambda: sent(emulator.accepted()) == kept(bridge), seconds=75)


def test_systemd_is_told_of_start_life_reload_and_stop(bridge: Bridge, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        told: list[str] = []

        def heard(assignment: str) -> bool:
            while assignment not in told:
                told.extend(manager.recv(4096).decode().splitlines())
            return True

        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        with running(bridge, **environ) as service:
            assert heard("READY=1")
            assert heard("WATCHDOG=1")
            told.clear()
            assert heard("WATCHDOG=1")  # again
            told.clear()
            service.send(signal.SIGHUP)
            assert heard("RELOADING=1")
            assert any(line.startswith("MONOTONIC_USEC=") for line in told)
            assert heard("READY=1")
            service.send(signal.SIGUSR1)
            assert heard("STATUS=report 1: 90 events, 2 nodes")
            service.send(signal.SIGTERM)
            assert heard("STOPPING=1")


def test_systemd_shows_why_there_is_no_report(bridge: Bridge, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "MONGOOSEIM_BRIDGE_NODES": "nobody@localhost"}
        with running(bridge, **environ) as service:
            assert manager.recv(4096).startswith(b"READY=1")
            service.send(signal.SIGUSR1)
            told = manager.recv(4096)
            assert told.startswith(b"STATUS=attempt 1 to report failed: node nobody@localhost is not registered")


def test_nothing_is_left_behind(bridge: Bridge) -> None:
    with running(bridge) as service:
        service.report()
        pid = service.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        assert children == ""
    names = {path.name for path in bridge.state_dir.iterdir()}
    assert {name for name in names if not name.startswith("deliver-")} == {
        "bridge.sqlite3",
        "reporting.lock",
        "service.lock",
        "store.lock",
    }
    assert [path.name for path in bridge.log_dir.iterdir()] == ["system_metrics_report.json"]
