"""The main job, end to end: the installed command, real nodes, a real HTTP server.

What is expected is written down from the scenario `erlang_stubs/scenarios/default.terms` and the table of events.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from bridge.emulator.validator import judge
from tests.support.bridge import Bridge
from tests.support.emulator import RunningEmulator, running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster

IN_THREE = (
    "mod_adhoc mod_amp mod_cache_users mod_caps mod_carboncopy mod_csi mod_disco mod_last/mnesia mod_ping mod_register "
    "mod_roster/rdbms mod_stream_management mod_version"
)
IN_TWO = (
    "mod_blocking mod_mam/rdbms mod_mam_pm mod_mam_rdbms_arch mod_muc_light/rdbms mod_offline/rdbms mod_privacy/mnesia "
    "mod_private/rdbms mod_vcard/ldap"
)
IN_ONE = (
    "mod_event_pusher/push mod_event_pusher_http mod_event_pusher_push/rdbms mod_extdisco mod_http_upload/s3 "
    "mod_keystore"
)


def expected_modules() -> Counter[tuple[tuple[str, str], ...]]:
    found: Counter[tuple[tuple[str, str], ...]] = Counter()
    for names, times in ((IN_THREE, 3), (IN_TWO, 2), (IN_ONE, 1), ("mod_presence", 4)):
        for name in names.split():
            module, _, backend = name.partition("/")
            params = {"module": module, **({"backend": backend} if backend else {})}
            found[tuple(sorted(params.items()))] += times
    found[("backend", "mnesia"), ("module", "mod_muc"), ("online_backend", "cets")] += 2
    found[("api_version", "v3"), ("module", "mod_push_service_mongoosepush")] += 1
    return found


def of(name: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["params"] for event in events if event["name"] == name]


def bare(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without what GA4 alone gets, to compare with the JSON log, in an order of their own.

    Several requests are under way at once, so the order in which they arrive is not defined.
    """
    only_ga4 = {"session_id", "engagement_time_msec"}
    bared = (
        {"name": event["name"], "params": {k: v for k, v in event["params"].items() if k not in only_ga4}}
        for event in events
    )
    return sorted(bared, key=repr)


def check_events(events: list[dict[str, Any]]) -> None:
    assert of("host_count", events) == [{"value": 4}]
    assert of("domain_count", events) == [{"value": 5}]
    assert Counter(tuple(sorted(params.items())) for params in of("module_with_opt", events)) == expected_modules()
    assert of("custom_module_count", events) == [{"value": 2}]
    nodes = of("cluster", events)
    assert [(node["component"], node["node_number"], node["version"], node["config_type"]) for node in nodes] == [
        (2, 2, "6.8.0", "toml"),
        (1, 2, "6.8.0", "toml"),
    ]
    for node in nodes:
        days, hours, minutes, seconds = map(int, re.split("[-:]", node["uptime"]))
        assert ((days * 24 + hours) * 60 + minutes) * 60 + seconds == node["uptime_seconds"] < 3600
    handlers = {"bosh", "graphql", "prometheus", "websocket"}
    assert of("http_api", events) == [
        {f"mongoose_{handler}_handler": "enabled" for handler in handlers}
        | {"enabled": "bosh, graphql, prometheus, websocket"}
    ]
    assert of("transport_mechanism", events) == [
        {
            "mongoose_bosh_handler": "enabled",
            "mongoose_websocket_handler": "enabled",
            "tcp": "enabled",
            "enabled": "bosh, tcp, websocket",
        }
    ]
    assert of("tls_option", events) == [{"mode": "starttls"}, {"mode": "tls"}]
    assert sorted(pool["value"] for pool in of("outgoing_pool", events)) == ["http", "http", "ldap", "rdbms", "redis"]


def test_a_report_is_in_the_json_log_and_at_ga4_event_by_event(bridge: Bridge, emulator: RunningEmulator) -> None:
    result = bridge.run("report")
    assert result.code == 0, result.err
    logged = bridge.json_log
    check_events(logged)
    assert {(c["stanza_type"], c["total"], c["increment"]) for c in of("xmpp_stanza_count", logged)} == {
        ("xmppMessageSent", 150, 150),
        ("xmppMessageReceived", 137, 137),
        ("xmppIqSent", 321, 321),
        ("xmppIqReceived", 190, 190),
        ("xmppPresenceSent", 84, 84),
        ("xmppPresenceReceived", 60, 60),
    }
    received = emulator.events()
    assert bare(received) == bare(logged)
    assert all(event["accepted"] for event in received)
    assert len({event["client_id"] for event in received}) == 1
    assert all(event["params"]["engagement_time_msec"] >= 1 for event in received)
    assert all(event["params"]["session_id"].isdigit() for event in received)
    assert f"{len(logged)} events delivered" in result.out
    assert str(bridge.log_dir / "system_metrics_report.json") in result.out


def test_preview_shows_what_report_then_sends_and_writes_nothing(bridge: Bridge, emulator: RunningEmulator) -> None:
    preview = bridge.run("preview", "--format", "json")
    assert preview.code == 0, preview.err
    assert not bridge.state_dir.exists()
    assert not bridge.log_dir.exists()
    assert emulator.events() == []
    assert bridge.run("report").code == 0

    def without_uptime(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**event, "params": {k: v for k, v in event["params"].items() if not k.startswith("uptime")}}
            for event in events
        ]

    assert without_uptime(preview.json()["events"]) == without_uptime(bridge.json_log)


def test_the_previewed_requests_are_what_ga4s_validator_takes(bridge: Bridge) -> None:
    assert bridge.run("report").code == 0
    lines = bridge.run("preview", "--format", "ga4").out.splitlines()
    assert len(lines) >= 2
    for line in lines:
        verdict = judge(line.encode(), time.time_ns() // 1000)
        assert not any((*event.reasons, *event.warnings) for event in verdict.events)


def test_counters_that_advance_are_reported_as_increments(
    tmp_path: Path, start_cluster: Callable[..., StubCluster], emulator: RunningEmulator
) -> None:
    cluster = start_cluster("default", 2)
    bridge = Bridge(tmp_path / "bridge", cluster.environ, (emulator.url,))
    assert bridge.run("report").code == 0
    cluster.nodes[1].eval("stub:advance(xmppMessageSent, 7)")
    cluster.nodes[0].restart()
    cluster.join()
    assert bridge.run("report").code == 0
    counts = {count["stanza_type"]: count for count in of("xmpp_stanza_count", bridge.json_log)}
    # The restarted node counts from its own start again; the other one by what was added.
    assert counts["xmppMessageSent"]["total"] == 157
    assert counts["xmppMessageSent"]["increment"] == 120 + 7
    assert counts["xmppIqReceived"]["increment"] == 130


def test_every_destination_gets_the_report(tmp_path: Path, default_cluster: StubCluster) -> None:
    with running_emulator(tmp_path / "one.jsonl") as one, running_emulator(tmp_path / "two.jsonl") as two:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (one.url, two.url))
        assert bridge.run("report").code == 0
        assert bare(one.events()) == bare(two.events()) == bare(bridge.json_log)
        assert {event["measurement_id"] for event in two.events()} == {"G-AAAA2"}


def test_without_a_destination_there_is_the_json_log_only(tmp_path: Path, default_cluster: StubCluster) -> None:
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ)
    result = bridge.run("report")
    assert result.code == 0, result.err
    assert "JSON log only" in result.out
    check_events(bridge.json_log)


def test_what_cannot_be_delivered_is_queued_and_goes_out_with_the_next_report(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    emulator.fail("503")
    first = bridge.run("report", MONGOOSEIM_BRIDGE_DELIVER_TIMEOUT="1000")
    assert first.code == 1
    assert "queued" in first.out
    assert "503" in first.out
    logged = bridge.json_log
    emulator.fail("")
    assert bridge.run("report").code == 0
    assert bare(emulator.accepted()) == bare(logged + bridge.json_log)


def test_the_bridge_is_a_hidden_node_with_a_lent_name(
    start_cluster: Callable[..., StubCluster], tmp_path: Path
) -> None:
    cluster = start_cluster("default", 1)
    node = cluster.nodes[0]
    node.eval("register(watch, spawn(fun() -> net_kernel:monitor_nodes(true, [{node_type, all}]), "
              "W = fun(W, L) -> receive {nodeup, _, [{node_type, T}]} -> W(W, [T | L]); {get, P} -> P ! L, W(W, L); "
              "_ -> W(W, L) end end, W(W, []) end))")  # fmt: skip
    bridge = Bridge(tmp_path / "bridge", cluster.environ)
    assert bridge.run("report").code == 0
    assert node.eval("watch ! {get, self()}, receive L -> L end") == "[hidden]"
    (cluster_event,) = of("cluster", bridge.json_log)
    assert cluster_event["node_number"] == 1
