"""`run` with each word of the operator: nothing said, yes, no, and no said later."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.service.support import FAST, IDLE, running
from tests.support.bridge import Bridge

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

TIMES = IDLE.removeprefix("report = true\n")
ENDPOINT = "http://127.0.0.1:9/mp/collect"
"""Nobody listens there, and nothing is sent."""


@pytest.fixture
def idle(tmp_path: Path, default_cluster: StubCluster) -> Bridge:
    return Bridge(tmp_path / "bridge", default_cluster.environ, (ENDPOINT,), service=TIMES)


def test_an_operator_who_said_nothing_gets_the_notice_at_every_start(idle: Bridge) -> None:
    for endpoints in ((ENDPOINT,), ()):
        idle.endpoints = endpoints
        idle.configure()
        with running(idle) as service:
            notice = service.wait_for("notice")
            (started,) = service.log("service_started")
        assert notice["level"] == "info"
        assert notice["gathers"].startswith("versions, uptime, modules")
        assert ("127.0.0.1:9" in notice["sends_to"]) == bool(endpoints)
        assert notice["shows_in"] == str(idle.log_dir / "system_metrics_report.json")
        assert "bridge.report = false" in notice["switch_off"]
        assert "DO_NOT_TRACK" in notice["switch_off"]
        assert started["reason"] == "report is not set"
    assert started["destinations"] == "none, JSON log only"


def test_an_operator_who_said_yes_gets_one_line_with_mode_reason_and_destinations(idle: Bridge) -> None:
    idle.service = IDLE
    idle.configure()
    with running(idle, DO_NOT_TRACK="0") as service:  # which is no objection
        started = service.wait_for("service_started")
    assert started["mode"] == "reporting"
    assert started["reason"] == f"report = true ({idle.config}:2)"
    assert started["destinations"].startswith("G-AAAA1 at 127.0.0.1:")
    assert [line["what"] for line in service.log() if not line["what"].startswith("node_")] == [
        "service_started",
        "service_stopped",
    ]


@pytest.mark.parametrize(
    ("said", "environ", "reason"),
    [
        ("report = false", {}, "report = false ("),
        ("report = true", {"DO_NOT_TRACK": "1"}, "DO_NOT_TRACK is set in the environment"),
    ],
)
def test_an_operator_who_said_no_gets_nothing_sent_or_written_and_the_reason(
    idle: Bridge, said: str, environ: dict[str, str], reason: str
) -> None:
    idle.service = f"{said}\n{TIMES}"
    idle.configure()
    result = idle.run("run", **environ)
    assert result.code == 4
    assert reason in result.err
    assert not idle.state_dir.exists()
    assert not idle.log_dir.exists()


def test_consent_that_is_withdrawn_ends_the_service_at_once_and_nothing_more_is_sent(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    bridge.service = FAST
    bridge.configure()
    emulator.fail("503")
    with running(bridge, check=False) as service:
        service.wait_for("report_collected")
        service.wait_for("delivery_failing")
        bridge.service = FAST.replace("report = true", "report = false")
        bridge.configure()
        emulator.fail("")
        before = len(emulator.accepted())
        service.send(signal.SIGHUP)
        assert service.ended(3) == 4
        assert f"report = false ({bridge.config}:" in service.log_file.read_text()
    # Only what was on its way when the signal came may still have arrived.
    assert len(emulator.accepted()) - before <= 90
    assert bridge.run("report").code == 4
