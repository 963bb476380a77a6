"""What a report says of a cluster: its Client ID, members that are missed, a large one, one that reports by itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster


def client_ids(tmp_path: Path, cluster: StubCluster, *bridges: str) -> list[str]:
    """The Client IDs that arrive from two reports of each installation."""
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        for name in bridges:
            bridge = Bridge(tmp_path / name, cluster.environ, (emulator.url,))
            for _ in range(2):
                assert bridge.run("report").code == 0
        return list(dict.fromkeys(event["client_id"] for event in emulator.accepted()))


def test_an_ephemeral_id_is_replaced_by_one_of_our_own_that_stays(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    ids = client_ids(tmp_path, start_cluster("6.8_none", 1), "one", "two")
    assert len(ids) == 2, "one for each installation, the same in both of its reports"
    assert all(re.fullmatch(r"\d+\.\d+", client_id) for client_id in ids)


def test_a_persistent_id_of_the_cluster_is_used_by_every_installation(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    ids = client_ids(tmp_path, start_cluster("persistent_id", 1), "one", "two")
    assert ids == ["3b8f2f0e-6a57-4a5e-9d0b-6f1f4b7c2a91"]


def test_who_is_up_and_who_cannot_be_asked_is_said_to_the_operator_and_in_no_event(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    cluster = start_cluster("default", 3)
    bridge = Bridge(tmp_path / "bridge", cluster.environ, settings="collect_timeout = 1_500")
    cluster.nodes[1].eval("stub:stop_mongooseim()")
    table = bridge.run("nodes")
    assert table.code == 0
    assert "mongooseim1@localhost  up" in table.out
    shown = {row["node"]: row for row in bridge.run("nodes", "--format", "json").json()["nodes"]}
    up, stopped = (shown[node.name] for node in cluster.nodes[:2])
    assert (up["state"], up["mongooseim"], up["sees_nodes"]) == ("up", "6.8.0", 3)
    assert up["otp"].isdigit()
    assert stopped["state"] == "not asked"
    assert "not running" in stopped["reason"]

    silent = cluster.nodes[2]
    silent.pause()
    try:
        result = bridge.run("report")
    finally:
        silent.resume()
    assert result.code == 0
    assert result.out.count(f"not asked: node {silent.name}") == 1
    assert silent.name not in result.err, "each note is shown once"
    assert sum(event["name"] == "cluster" for event in bridge.json_log) == 1
    assert silent.name not in (bridge.log_dir / "system_metrics_report.json").read_text()


def test_the_own_reporter_that_is_still_on_is_told_with_the_remedy(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    bridge = Bridge(tmp_path / "bridge", start_cluster("own_reporter_on", 1).environ)
    result = bridge.run("report")
    assert result.code == 0
    assert "counted twice" in result.out
    assert "report = false" in result.out
    assert "counted twice" in bridge.run("preview").err


def test_aggregated_modules_make_a_large_installation_a_small_report(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    environ = start_cluster("large", 1).environ
    bridge = Bridge(tmp_path / "bridge", environ, service="report = true\nperiodic_report = 3_600_000")
    result = bridge.run("report")
    assert "beyond 100,000" in result.out
    assert "aggregate_modules = true" in result.out
    modules = [event["params"] for event in bridge.json_log if event["name"] == "module_with_opt"]
    assert len(modules) > 304
    assert sum(params["module"] == "mod_presence" for params in modules) == 304

    result = bridge.run("report", MONGOOSEIM_BRIDGE_AGGREGATE_MODULES="true")
    assert result.code == 0, result.err
    assert "aggregate_modules" not in result.out
    modules = [event["params"] for event in bridge.json_log if event["name"] == "module_with_opt"]
    assert len(bridge.json_log) < 100
    assert {params["module"]: params["host_types"] for params in modules}["mod_presence"] == 304
