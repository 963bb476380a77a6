"""SIGHUP: a good file takes effect, a bad one changes nothing."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.service.support import FAST, IDLE, kept, poll, rows, running, sent
from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster
    from tests.service.support import RunningService


@pytest.fixture
def bridge(tmp_path: Path, default_cluster: StubCluster) -> Bridge:
    return Bridge(tmp_path / "bridge", default_cluster.environ, service=IDLE)


def reload_error(bridge: Bridge) -> object:
    """What the status says of the last reload."""
    ((service,),) = rows(bridge, "SELECT value FROM meta WHERE key = 'service'")
    return json.loads(service).get("reload_error")


def reload(service: RunningService) -> dict[str, object]:
    before = len(service.log("reloaded"))
    service.send(signal.SIGHUP)
    return service.wait_for("reloaded", before + 1)


BAD = {
    "[bridge]\nnodez = []": "did you mean 'nodes'?",
    "[bridge": "is not valid TOML",
    '[bridge]\nnodes = ["no node\'s name"]': "bridge.nodes",
    '[services.service_mongoose_system_metrics]\ntracking_id.id = "G-AAAA1"': "has no secret",
    '[bridge]\nca_file = "/nowhere/ca.pem"': "ca_file",
}


def test_a_bad_file_keeps_the_old_configuration_and_says_so(bridge: Bridge) -> None:
    bridge.settings = f'nodes = ["{bridge.environ["MONGOOSEIM_BRIDGE_NODES"]}"]'
    bridge.environ = {name: value for name, value in bridge.environ.items() if not name.endswith("_NODES")}
    bridge.extra["MONGOOSEIM_BRIDGE_STATE_DIR"] = str(bridge.state_dir)
    bridge.extra["MONGOOSEIM_BRIDGE_LOG_DIR"] = str(bridge.log_dir)
    bridge.configure()
    with running(bridge) as service:
        for text, problem in BAD.items():
            before = len(service.log("reload_refused"))
            bridge.config.write_text(text)
            service.send(signal.SIGHUP)
            refused = service.wait_for("reload_refused", before + 1)
            assert refused["level"] == "error"
            assert problem in refused["problem"]
            poll("the refusal is in the status", lambda problem=problem: problem in str(reload_error(bridge)))
        service.report()
        bridge.configure()
        assert reload(service)["changed"] == "nothing"
        poll("it is over", lambda: reload_error(bridge) is None)


def test_a_new_destination_gets_the_next_report_and_a_removed_one_does_not(bridge: Bridge, tmp_path: Path) -> None:
    with running_emulator(tmp_path / "one.jsonl") as one, running_emulator(tmp_path / "two.jsonl") as two:
        bridge.endpoints = (one.url,)
        bridge.configure()
        with running(bridge) as service:
            service.report()
            bridge.endpoints = (two.url,)
            bridge.configure()
            assert "bridge.destinations" in str(reload(service)["changed"])
            service.report()
            service.wait_for("delivered", 2)
        history = sorted(kept(bridge))
        assert sorted(sent(one.accepted())) == history[:1]
        assert sorted(sent(two.accepted())) == history[1:]


def test_new_intervals_and_log_level_take_effect(bridge: Bridge) -> None:
    with running(bridge) as service:
        assert service.log("connection_lost", "report_wanted") == []
        bridge.service = FAST
        bridge.settings = 'log_level = "debug"'
        bridge.configure()
        changed = str(reload(service)["changed"])
        assert "initial_report" in changed
        assert "bridge.log_level" in changed
        service.wait_for("report_collected", 2)
        service.send(signal.SIGUSR1)
        service.wait_for("report_wanted")


def test_a_new_cookie_and_new_nodes_take_effect(bridge: Bridge, default_cluster: StubCluster, tmp_path: Path) -> None:
    cluster = default_cluster
    cookie = tmp_path / "cookie"
    cookie.write_text("a-wrong-cookie")
    cookie.chmod(0o400)
    bridge.environ = {"ERL_EPMD_PORT": str(cluster.epmd_port)}
    bridge.settings = f'cookie_file = "{cookie}"\nnodes = ["nobody@localhost"]'
    bridge.configure()
    with running(bridge) as service:
        service.send(signal.SIGUSR1)
        service.wait_for("no_node_answered")
        bridge.settings = f'cookie_file = "{cookie}"\nnodes = ["{cluster.entry}"]'
        bridge.configure()
        assert reload(service)["changed"] == "bridge.nodes"
        service.send(signal.SIGUSR1)
        poll("it tried the new node", lambda: service.log("no_node_answered"))
        cookie.unlink()
        cookie.write_text(cluster.cookie_file.read_text())
        cookie.chmod(0o400)
        assert reload(service)["changed"] == "cookie"
        service.report()


def test_certificates_renewed_under_their_old_names_take_effect_and_what_needs_a_restart_is_named(
    bridge: Bridge, tmp_path: Path
) -> None:
    https, nodes = tmp_path / "https.pem", tmp_path / "nodes.pem"
    for file in (https, nodes):
        trustme.CA().cert_pem.write_to_path(file)
    bridge.settings = f'ca_file = "{https}"\ntls.cacertfile = "{nodes}"'
    bridge.configure()
    with running(bridge) as service:
        assert reload(service)["changed"] == "nothing"
        trustme.CA().cert_pem.write_to_path(https)
        assert reload(service)["changed"] == "bridge.ca_file"
        trustme.CA().cert_pem.write_to_path(nodes)
        assert reload(service)["changed"] == "bridge.tls"
        bridge.settings += "\nhistory_days = 3\n[bridge.health]\nport = 9180"
        bridge.configure()
        assert reload(service)["needs_restart"] == "bridge.health, bridge.history_days"
