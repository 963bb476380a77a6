"""What a newer release can report is said once, and kept back until the operator agrees, if that is wanted."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.report.events import CONTRACT, EVENTS
from tests.service.support import running
from tests.support.docs import DOCS

if TYPE_CHECKING:
    from tests.support.bridge import Bridge
    from tests.support.emulator import RunningEmulator

NEWER = Path(__file__).with_name("newer_release.py")
NEW = "custom_module_count.value, cluster.config_type"


@pytest.fixture
def newer(bridge: Bridge) -> Bridge:
    """After a report of this release, the same installation with the next one."""
    assert bridge.run("report").code == 0
    bridge.program = (sys.executable, str(NEWER))
    return bridge


def is_reported(events: list[dict[str, object]]) -> bool:
    names = {event["name"] for event in events}
    both = ("custom_module_count" in names, "config_type" in str(events))
    assert both in {(True, True), (False, False)}
    return all(both)


def test_what_is_new_is_said_with_the_first_report_and_not_again(newer: Bridge, emulator: RunningEmulator) -> None:
    for command in ("status", "consent", "preview"):
        done = newer.start(command)
        assert NEW in (done.out + done.err) or "new: cluster.config_type: kind of" in done.out
    first = newer.start("report")
    assert f"contract 2 has more than contract 1, which you agreed to: {NEW}; reported from now on" in first.out
    assert "what=new_facts" in first.err
    assert is_reported(newer.json_log)
    again = newer.start("report")
    assert "contract" not in again.out + again.err


def test_held_facts_wait_for_the_operator(newer: Bridge, emulator: RunningEmulator) -> None:
    newer.settings = 'new_facts = "hold"'
    newer.configure()
    done = newer.start("report")
    assert "kept back; `mongooseim-bridge consent accept`" in done.out
    assert not is_reported(newer.json_log)
    assert "kept back" in newer.start("status").out
    assert not is_reported(newer.start("preview", "--format", "json").json()["events"])
    assert [one["param"] for one in newer.start("consent", "--format", "json").json()["new"]] == [
        "value",
        "config_type",
    ]
    assert newer.start("consent", "accept").out == "you agreed to contract 2\n"
    assert "contract" not in newer.start("report").out
    assert is_reported(newer.json_log)


def test_the_service_says_it_at_its_start_and_takes_the_answer_while_it_runs(newer: Bridge) -> None:
    newer.settings = 'new_facts = "hold"'
    newer.configure()
    with running(newer) as service:
        assert NEW in str(service.wait_for("new_facts")["problem"])
        assert newer.start("consent", "accept").code == 0
        service.send(signal.SIGUSR1)
        service.wait_for("report_collected")
    assert is_reported(newer.json_log)


def test_a_new_installation_agrees_to_the_release_that_it_begins_with(bridge: Bridge) -> None:
    shown = bridge.run("consent", "--format", "json").json()
    assert (shown["agreed"], shown["new"]) == (CONTRACT, [])
    assert not bridge.state_dir.exists()


def test_the_page_has_every_contract_and_how_many_params_came_with_it() -> None:
    text = (DOCS / "what-is-reported.md").read_text()
    rows = re.findall(r"^\| (\d+) \| [\d.]+ \| the (?:first|next) (\d+) parameters", text, re.MULTILINE)
    since = [param.since for params in EVENTS.values() for param in params.values()]
    assert [(int(number), int(count)) for number, count in rows] == [
        (contract, since.count(contract)) for contract in range(1, CONTRACT + 1)
    ]
