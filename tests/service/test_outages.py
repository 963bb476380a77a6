"""Nodes, EPMD and destinations fail in mid-service, and come back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from erlang_stubs.cluster import StubCluster
from tests.service.support import FAST, kept, poll, rows, running, sent
from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUIET = {"MONGOOSEIM_BRIDGE_COLLECT_TIMEOUT": "500"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[StubCluster]:
    """Every test leaves it as it was."""
    with StubCluster("default", 2) as cluster:
        yield cluster


def bridge_to(cluster: StubCluster, directory: Path, *endpoints: str) -> Bridge:
    return Bridge(directory / "bridge", cluster.environ, endpoints, service=FAST, extra=dict(QUIET))


def nodes_seen(bridge: Bridge) -> list[str]:
    return [row[0] for row in rows(bridge, "SELECT nodes FROM reports ORDER BY id")]


def failures(bridge: Bridge) -> int:
    """Attempts in a row that collected nothing."""
    ((service,),) = rows(bridge, "SELECT value FROM meta WHERE key = 'service'")
    return int(json.loads(service)["failures"])


def test_the_entry_node_dies_and_its_cluster_is_reported_all_the_same(cluster: StubCluster, tmp_path: Path) -> None:
    with running(bridge_to(cluster, tmp_path)) as service:
        service.wait_for("report_collected")
        cluster.nodes[0].kill()
        service.wait_for("node_not_asked")
        number = len(service.log("report_collected"))
        service.wait_for("report_collected", number + 2)
        assert service.log("no_node_answered") == []
        assert nodes_seen(service.bridge)[-1] == '["mongooseim2@localhost"]'
        cluster.nodes[0].start()
        cluster.join()
        service.wait_for("node_no_longer_missing")
        both = '["mongooseim1@localhost", "mongooseim2@localhost"]'
        poll("both are seen", lambda: nodes_seen(service.bridge)[-1] == both)


@pytest.mark.parametrize("how", ["killed", "paused", "stopped"])
def test_the_whole_cluster_fails_and_the_first_report_after_it_is_made_at_once(
    cluster: StubCluster, tmp_path: Path, how: str
) -> None:
    with running(bridge_to(cluster, tmp_path)) as service:
        service.wait_for("report_collected")
        for node in cluster.nodes:
            if how == "killed":
                node.kill()
            elif how == "paused":
                node.pause()
            else:
                node.eval("stub:stop_mongooseim()")
        failed = service.wait_for("no_node_answered")
        assert failed["level"] == "warning"
        before = len(service.log("report_collected"))
        poll("two more attempts fail", lambda: failures(service.bridge) >= 3)
        assert len(service.log("no_node_answered")) == 1
        assert len(service.log("report_collected")) == before
        for node in cluster.nodes:
            if how == "killed":
                node.start()
            elif how == "paused":
                node.resume()
            else:
                node.eval("stub:start_mongooseim()")
        cluster.join()
        again = service.wait_for("reporting_again", seconds=5)
        assert again["times"] >= 1
        service.wait_for("report_collected", before + 2)


def test_increments_stay_right_when_a_node_is_away_for_a_while(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.nodes[1].eval("stub:advance(xmppMessageSent, 3)")
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        with running(bridge_to(cluster, tmp_path, emulator.url)) as service:
            service.wait_for("report_collected")
            cluster.nodes[1].pause()
            service.wait_for("node_not_asked")
            cluster.nodes[1].resume()
            service.wait_for("node_no_longer_missing")
            cluster.nodes[1].eval("stub:advance(xmppMessageSent, 5)")
            service.wait_for("delivered", len(service.log("report_collected")) + 1)
        poll("all there", lambda: sent(emulator.accepted()) == kept(service.bridge))
        counted = [event["params"] for event in emulator.accepted()]
    first, *later = (one["increment"] for one in counted if one.get("stanza_type") == "xmppMessageSent")
    assert first >= 3
    assert sum(later) == 5, "no stanza is counted twice"


def test_an_outage_of_one_destination_holds_up_neither_the_other_nor_the_next_report(
    default_cluster: StubCluster, tmp_path: Path
) -> None:
    with running_emulator(tmp_path / "one.jsonl") as one, running_emulator(tmp_path / "two.jsonl") as two:
        one.fail("503")
        with running(bridge_to(default_cluster, tmp_path, one.url, two.url)) as service:
            service.wait_for("report_collected", 3)
            poll("two has two", lambda: len(sent(two.accepted())) >= 2)
            assert one.accepted() == []
            assert len(service.log("delivery_failing")) == 1
            one.fail("")
            service.wait_for("delivery_recovered", seconds=30)
            poll("one has them too", lambda: len(sent(one.accepted())) >= 3)
        history = kept(service.bridge)
        assert sent(one.accepted()) == sent(two.accepted()) == history
