"""The demo does the main job, and says so when anything in it fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from erlang_stubs import demo
from erlang_stubs.cluster import CUSTOM_MARKER, SECRET_MARKER

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_reports_twice_and_shows_what_arrived(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "erlang_stubs.demo", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    log = json.loads((tmp_path / "log" / "system_metrics_report.json").read_text())
    arrived = [json.loads(line) for line in (tmp_path / "arrived.jsonl").read_text().splitlines()]
    assert len(arrived) == 2 * len(log)
    assert all(event["accepted"] for event in arrived)
    for command in ("preview", "ga4 setup --yes", "report", "ga4 verify", "ga4 report"):
        assert f"bridge.toml {command}\n" in done.stdout
    modules = [event["params"] for event in arrived if event["name"] == "module_with_opt"]
    counted = sum((params["module"], params.get("backend")) == ("mod_mam", "rdbms") for params in modules)
    assert re.search(rf"^123456789 +mod_mam +rdbms +{counted}$", done.stdout, re.MULTILINE)
    assert {
        "name": "xmpp_stanza_count",
        "params": {"stanza_type": "xmppMessageSent", "total": 157, "increment": 7},
    } in log
    assert "system_metrics_report.json" in done.stdout
    everything = done.stdout + json.dumps([log, arrived])
    assert SECRET_MARKER not in everything
    assert CUSTOM_MARKER not in everything


def test_a_command_that_fails_fails_the_demo_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\n[ "$3" = preview ] && exit 1\nexec {demo.PROGRAM} "$@"\n')
    program.chmod(0o700)
    monkeypatch.setattr(demo, "PROGRAM", program)
    assert demo.main([str(tmp_path / "demo")]) == 1
    assert capfd.readouterr().err == "the demo failed: preview ended with exit code 1\n"


def test_an_emulator_that_does_not_start_fails_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho no such command\n")
    program.chmod(0o700)
    monkeypatch.setattr(demo, "PROGRAM", program)
    assert demo.main([str(tmp_path / "demo")]) == 1
    assert capfd.readouterr().err == "the demo failed: ga4-emulator did not start: no such command\n"


@pytest.mark.parametrize("loss", ["an event", "a param", "acceptance", "an increment"])
def test_anything_that_arrives_otherwise_than_reported_fails_the_demo(loss: str) -> None:
    log = [{"name": "host_count", "params": {"value": 4}}]
    log += [
        {"name": "xmpp_stanza_count", "params": {"stanza_type": kind, "total": 100, "increment": count}}
        for kind, count in demo.TRAFFIC.items()
    ]
    arrived = [{**event, "params": {**event["params"], "session_id": "1"}, "accepted": True} for event in log]
    demo.check(log, [], arrived)
    match loss:
        case "an event":
            arrived.pop(0)
        case "a param":
            del arrived[0]["params"]["value"]
        case "acceptance":
            arrived[0] |= {"accepted": False, "reasons": ["too long"]}
        case "an increment":
            arrived[1]["params"]["increment"] = log[1]["params"]["increment"] = 0
    with pytest.raises(demo.DemoFailed):
        demo.check(log, [], arrived)
