"""The cluster's own shell asks: ping, report, status, version, and everything that must not work."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge import __version__
from erlang_stubs.beam import StubError, free_port
from tests.service.support import IDLE, poll, rows, running
from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from erlang_stubs.beam import Beam
    from erlang_stubs.cluster import StubCluster
    from tests.service.support import RunningService

OURS = "'mongooseim_bridge@localhost'"


def call(node: Beam, request: str) -> str:
    return node.eval(f"gen_server:call({{mongooseim_bridge, {OURS}}}, {request})")


def status(node: Beam) -> str:
    """What the bridge of our name answers at the moment; nothing while none is connected."""
    with suppress(StubError):
        return call(node, "status")
    return ""


def is_there(node: Beam) -> bool:
    return node.eval(f"net_adm:ping({OURS})") == "pong"


def test_the_shell_is_told_of_reports_that_fail_or_take_long_and_of_nodes_that_are_away(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    cluster = start_cluster("default", 2)
    one, two = cluster.nodes
    with running(Bridge(tmp_path / "bridge", cluster.environ, service=IDLE.replace("= 600000", "= 1000"))) as service:
        service.wait_for("node_up", 2)
        service.wait_for("report_collected")
        two.pause()
        assert call(one, "report") == "{ok,started}"
        two.kill()
        assert service.wait_for("node_down")["node"] == two.name
        poll("it is missing", lambda: f"missing: {two.name} since" in service.bridge.run("status").out)
        one.eval("stub:stop_mongooseim()")
        service.wait_for("no_node_answered")
        told = poll("a failure", lambda: "{error,<<" in (told := call(one, "report")) and told, 20)
        assert "MongooseIM is not running on it" in told
        one.eval("stub:start_mongooseim()")
        two.start()
        cluster.join()
        service.wait_for("node_up", 3, seconds=40)
        poll("a pong", lambda: is_there(two))
        poll("it is missing no more", lambda: "missing:" not in service.bridge.run("status").out)


def test_status_is_what_the_command_prints(tmp_path: Path, default_cluster: StubCluster) -> None:
    node = default_cluster.nodes[0]
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,), service=IDLE)
        with running(bridge):
            poll("a pong", lambda: is_there(node))
            assert "reports => []" in call(node, "status")
            call(node, "report")
            after = poll("delivered", lambda: "delivered => 90" in (told := call(node, "status")) and told)
            printed = bridge.run("status", "--format", "json").json()
    assert all(f"{name} => " in after for name in printed)
    assert f'reason => <<"{printed["reason"]}">>' in after
    assert "reporting => true" in after
    assert "missing_since => undefined" in after
    assert 'name => <<"mongooseim1@localhost">>' in after
    assert "period => 600.0" in after
    assert f'collected_at => <<"{printed["reports"][0]["collected_at"]}">>' in after
    assert f'version => <<"{__version__}">>' in after


def test_no_epmd_and_no_open_port_is_needed_on_this_host(tmp_path: Path, default_cluster: StubCluster) -> None:
    node = default_cluster.nodes[0]
    port = node.eval('{port, P, _} = erl_epmd:port_please("mongooseim1", "localhost"), P')
    environ = {
        **default_cluster.environ,
        "ERL_EPMD_PORT": str(free_port()),
        "MONGOOSEIM_BRIDGE_NODES": f"{node.name}:{port}",
    }
    with running(Bridge(tmp_path / "bridge", environ, service=IDLE)) as service:
        poll("a pong", lambda: is_there(node))
        assert call(node, "report").startswith("{ok,")
        service.wait_for("report_collected")
        inodes = {str(link.readlink()) for link in Path(f"/proc/{service.process.pid}/fd").iterdir()}
        assert not [
            line
            for line in Path(f"/proc/{service.process.pid}/net/tcp").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in inodes
        ]


def test_a_second_bridge_of_the_same_name_takes_over_and_the_first_says_so_once_and_still_reports(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    cluster = start_cluster("default", 1)
    node = cluster.nodes[0]
    first = Bridge(tmp_path / "first", cluster.environ, service=IDLE.replace("= 600000", "= 1000"))
    second = Bridge(tmp_path / "second", cluster.environ, service=IDLE)
    with running(first) as holder:
        poll("a pong", lambda: is_there(node))
        holder.wait_for("report_collected")
        with running(second) as service:
            poll("the second has the name", lambda: "period => 600.0" in status(node))
            holder.wait_for("name_taken")
            made = len(holder.log("report_collected"))
            holder.wait_for("report_collected", made + 3)
            assert len(holder.log("name_taken")) == 1
            assert "period => 600.0" in call(node, "status"), "the first does not fight for it"
            service.stop()
        poll("the first has it again", lambda: "period => 1.0" in status(node), 40)


def test_two_bridges_of_different_names_are_seen_by_each_other(tmp_path: Path, default_cluster: StubCluster) -> None:
    with running(Bridge(tmp_path / "one", default_cluster.environ, service=IDLE)) as one:
        poll("a pong", lambda: is_there(default_cluster.nodes[0]))
        other = Bridge(tmp_path / "other", default_cluster.environ, service=IDLE.replace("= 600000", "= 500"))
        other.environ = {**other.environ, "MONGOOSEIM_BRIDGE_NAME": "mongooseim_bridge@other"}
        with running(other) as service:
            line = service.wait_for("second_bridge")
            assert "1 other bridge in the cluster" in line["problem"]
            one.stop()
            service.wait_for("no_second_bridge")


def test_it_leaves_the_cluster_when_it_stops(tmp_path: Path, default_cluster: StubCluster) -> None:
    node = default_cluster.nodes[0]
    with running(Bridge(tmp_path / "bridge", default_cluster.environ, service=IDLE)) as service:
        poll("a pong", lambda: is_there(node))
        service.stop()
        poll("it is away", lambda: node.eval("nodes(hidden)") == "[]")
        with pytest.raises(StubError, match=r"noproc|nodedown"):
            call(node, "status")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, default_cluster: StubCluster) -> Iterator[RunningService]:
    """One that the tests below ask; those above are done by then, and had its name."""
    bridge = Bridge(tmp_path_factory.mktemp("shared") / "bridge", default_cluster.environ, service=IDLE)
    with running(bridge) as service:
        poll("a pong", lambda: all(map(is_there, default_cluster.nodes)))
        yield service


def test_the_service_is_a_hidden_node_that_answers_ping(service: RunningService, default_cluster: StubCluster) -> None:
    node = default_cluster.nodes[0]
    assert is_there(node)
    assert node.eval(f"lists:member({OURS}, nodes())") == "false"
    assert node.eval(f"lists:member({OURS}, nodes(hidden))") == "true"
    assert node.eval("length(nodes())") == "1"


def test_report_is_made_at_once_and_its_summary_comes_back(
    service: RunningService, default_cluster: StubCluster
) -> None:
    answer = call(default_cluster.nodes[1], "report")
    assert answer.startswith("{ok,#{")
    assert {"nodes => 2", "notes => []", "report => 1"} < set(answer[6:-2].split(","))
    assert call(default_cluster.nodes[0], "report") == answer, "who asks again within 10 s gets the one before"
    assert rows(service.bridge, "SELECT id FROM reports") == [(1,)]


def test_version_is_ours(service: RunningService, default_cluster: StubCluster) -> None:
    assert call(default_cluster.nodes[0], "version") == f'<<"{__version__}">>'


def test_what_is_no_request_gets_an_error_that_lists_those_that_are(
    service: RunningService, default_cluster: StubCluster
) -> None:
    for request in ("stop", "{report, now}", '"report"', "[]", '<<"report">>', "#{}", "self()"):
        told = call(default_cluster.nodes[0], request)
        assert told == "{error,{unknown_request,[report,status,version]}}", request


@pytest.mark.parametrize(
    "attempt",
    [
        f'rpc:call({OURS}, os, cmd, ["id"], 2000)',
        f'erpc:call({OURS}, os, cmd, ["id"], 2000)',
        f'gen_server:call({{rex, {OURS}}}, {{call, os, cmd, ["id"], group_leader()}}, 2000)',
        f"gen_server:call({{nobody, {OURS}}}, report, 2000)",
    ],
)
def test_nothing_else_can_be_called(service: RunningService, default_cluster: StubCluster, attempt: str) -> None:
    node = default_cluster.nodes[0]
    told = node.eval(f"try {attempt} of V -> {{value, V}} catch C:_ -> {{refused, C}} end")
    assert told.startswith(("{refused,", "{value,{badrpc,"))
    assert is_there(node)
