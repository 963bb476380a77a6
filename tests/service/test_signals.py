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

if TYPE_CHECKING:
    from collections.abc import Callable

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator


@pytest.fixture
def bridge(tmp_path: Path, default_cluster: StubCluster) -> Bridge:
    """Without a destination."""
    return Bridge(tmp_path / "bridge", default_cluster.environ, service=IDLE)


@pytest.fixture
def sending(tmp_path: Path, default_cluster: StubCluster, emulator: RunningEmulator) -> Bridge:
    return Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,), service=IDLE)


def queued(bridge: Bridge) -> int:
    """How many events wait."""
    (one,) = bridge.run("status", "--format", "json").json()["destinations"]
    return int(one["queued_events"])


def test_sigusr1_reports_now_and_what_is_under_way_is_delivered_before_it_stops(
    sending: Bridge, emulator: RunningEmulator
) -> None:
    emulator.fail("slow=1")
    with running(sending) as service:
        service.report()
        pid = service.process.pid
        assert Path(f"/proc/{pid}/task/{pid}/children").read_text() == ""
        assert service.stop() == 0
    assert len(kept(sending)) == 1
    assert kept(sending) == sent(emulator.accepted())
    assert queued(sending) == 0
    left = {path.name for path in sending.state_dir.iterdir() if not path.name.startswith("deliver-")}
    assert left == {"bridge.sqlite3", "reporting.lock", "service.lock", "store.lock"}
    assert [path.name for path in sending.log_dir.iterdir()] == ["system_metrics_report.json"]


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
    assert rows(bridge, "SELECT value FROM meta WHERE key = 'service'") == []


def test_what_cannot_be_delivered_in_time_stays_queued(sending: Bridge, emulator: RunningEmulator) -> None:
    emulator.fail("hang")
    with running(sending) as service:
        service.report()
        began = time.monotonic()
        assert service.stop() == 0
        assert 4 < time.monotonic() - began < 10
    assert queued(sending) == 90


def test_a_second_signal_does_not_wait_for_the_first(sending: Bridge, emulator: RunningEmulator) -> None:
    emulator.fail("hang")
    with running(sending) as service:
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


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.4])
def test_a_signal_while_it_starts_ends_it_or_is_too_early_for_python(bridge: Bridge, delay: float) -> None:
    with running(bridge, check=False, fork=False) as service:
        time.sleep(delay)
        service.send(signal.SIGTERM)
        code = service.ended()
    said = service.log("service_started")
    # Before our first line runs, a process dies of SIGTERM, which systemd takes for a clean end as well.
    assert code == 0 if said else code in {0, -signal.SIGTERM}


def test_signals_at_every_moment_lose_nothing_and_send_nothing_twice(
    sending: Bridge, emulator: RunningEmulator
) -> None:
    sending.service = FAST.replace("= 1000", "= 300")
    sending.configure()
    emulator.fail("slow=0.15")
    for number in range(6):
        with running(sending) as service:
            for step in range(number % 4):
                service.send(signal.SIGUSR1)
                time.sleep(0.03 * step + 0.01 * number)
                service.send(signal.SIGHUP)
            time.sleep(0.07 * number)
            assert service.stop() == 0
    emulator.fail("")
    assert sending.run("report").code == 0
    history = kept(sending)
    assert len(history) > 6
    assert sent(emulator.accepted()) == history


def test_report_and_status_work_beside_a_running_service_and_a_second_one_does_not(
    sending: Bridge, emulator: RunningEmulator
) -> None:
    with running(sending) as service:
        service.report()
        assert sending.run("report").code == 0
        service.report()
        poll("all delivered", lambda: sent(emulator.accepted()) == kept(sending))
        shown = sending.run("status", "--format", "json").json()
        assert [report["id"] for report in shown["reports"]] == [3]
        due, seen = (datetime.fromisoformat(shown["service"][key]) for key in ("next_report_at", "seen_at"))
        assert timedelta(seconds=500) < due - datetime.now(UTC) <= timedelta(seconds=600)
        assert abs(seen - datetime.now(UTC)) < timedelta(seconds=35)
        refused = sending.run("run")
        assert refused.code == 5
        assert f"process {service.process.pid}" in refused.err
        assert "state_dir" in refused.err
        assert len(refused.err.splitlines()) == 1
    assert sorted(row[0] for row in rows(sending, "SELECT id FROM reports")) == [1, 2, 3]


def test_after_a_kill_the_next_service_starts_and_delivers_what_was_left(
    sending: Bridge, emulator: RunningEmulator
) -> None:
    emulator.fail("503")
    with running(sending, check=False) as service:
        service.wait_for("service_started")
        service.send(signal.SIGUSR1)
        service.wait_for("delivery_failing")
        service.process.kill()
        service.process.wait()
    emulator.fail("")
    with running(sending):
        poll("delivered", lambda: sent(emulator.accepted()) == kept(sending))


def test_systemd_is_told_of_start_life_failure_reload_reports_and_stop(bridge: Bridge, tmp_path: Path) -> None:
    nodes = bridge.environ["MONGOOSEIM_BRIDGE_NODES"]
    bridge.environ = {name: value for name, value in bridge.environ.items() if not name.endswith("_NODES")}
    bridge.settings = 'nodes = ["nobody@localhost"]'
    bridge.configure()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        told: list[str] = []

        def heard(assignment: str) -> bool:
            while not any(line.startswith(assignment) for line in told):
                told.extend(manager.recv(4096).decode().splitlines())
            return True

        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        with running(bridge, **environ) as service:
            assert heard("READY=1")
            assert heard("WATCHDOG=1")
            told.clear()
            assert heard("WATCHDOG=1")  # again
            service.send(signal.SIGUSR1)
            assert heard("STATUS=attempt 1 to report failed: node nobody@localhost is not registered")
            bridge.settings = f'nodes = ["{nodes}"]'
            bridge.configure()
            told.clear()
            service.send(signal.SIGHUP)
            assert heard("RELOADING=1")
            assert heard("MONOTONIC_USEC=")
            assert heard("READY=1")
            service.send(signal.SIGUSR1)
            assert heard("STATUS=report 1: 90 events, 2 nodes")
            service.send(signal.SIGTERM)
            assert heard("STOPPING=1")
