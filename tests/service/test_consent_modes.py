"""`run` with each word of the operator: nothing said, yes, no, and no said later."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.service.support import FAST, running
from tests.support.bridge import Bridge

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

TIMES = "initial_report = 600000\nperiodic_report = 600000"


def test_an_operator_who_said_nothing_gets_the_notice_at_every_start(bridge: Bridge, emulator: RunningEmulator) -> None:
    bridge.service = TIMES
    bridge.configure()
    for _ in range(2):
        with running(bridge) as service:
            notice = service.wait_for("notice")
            (started,) = service.log("service_started")
        assert notice["level"] == "info"
        assert notice["gathers"].startswith("versions, uptime, modules")
        assert emulator.url.split("/")[2] in notice["sends_to"]
        assert notice["shows_in"] == str(bridge.log_dir / "system_metrics_report.json")
        assert "bridge.report = false" in notice["switch_off"]
        assert "DO_NOT_TRACK" in notice["switch_off"]
        assert started["reason"] == "report is not set"


def test_an_operator_who_said_yes_gets_one_line_with_mode_reason_and_destinations(bridge: Bridge) -> None:
    bridge.service = f"report = true\n{TIMES}"
    bridge.configure()
    with running(bridge) as service:
        started = service.wait_for("service_started")
    assert started["mode"] == "reporting"
    assert started["reason"] == f"report = true ({bridge.config}:2)"
    assert started["destinations"].startswith("G-AAAA1 at 127.0.0.1:")
    assert [line["what"] for line in service.log() if not line["what"].startswith("node_")] == [
        "service_started",
        "service_stopped",
    ]


def test_without_a_destination_the_line_says_so(tmp_path: Path, default_cluster: StubCluster) -> None:
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ, service=f"report = true\n{TIMES}")
    with running(bridge) as service:
        assert service.wait_for("service_started")["destinations"] == "none, JSON log only"


@pytest.mark.parametrize(
    ("said", "environ", "reason"),
    [
        ("report = false", {}, "report = false ("),
        ("report = true", {"MONGOOSEIM_BRIDGE_REPORT": "false"}, "bridge.report = false (environment"),
        ("report = true", {"DO_NOT_TRACK": "1"}, "DO_NOT_TRACK is set in the environment"),
        ("", {"DO_NOT_TRACK": "true"}, "DO_NOT_TRACK is set in the environment"),
    ],
)
def test_an_operator_who_said_no_gets_nothing_sent_or_written_and_the_reason(
    bridge: Bridge, emulator: RunningEmulator, said: str, environ: dict[str, str], reason: str
) -> None:
    bridge.service = f"{said}\n{TIMES}"
    bridge.configure()
    result = bridge.run("run", **environ)
    assert result.code == 4
    assert reason in result.err
    assert not bridge.state_dir.exists()
    assert not bridge.log_dir.exists()
    assert emulator.events() == []


def test_do_not_track_of_zero_is_no_objection(bridge: Bridge) -> None:
    bridge.service = f"report = true\n{TIMES}"
    bridge.configure()
    with running(bridge, DO_NOT_TRACK="0"):
        pass


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
