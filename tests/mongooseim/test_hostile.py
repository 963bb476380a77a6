"""Code of the operator's own runs in the node: whatever it does costs one fact, and nothing of it leaves the node."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Node, NodeName
from bridge.mongooseim.collect import collect
from bridge.mongooseim.own_report import CUSTOM_NAME, ask_own_report
from bridge.secret import Secret
from erlang_stubs.beam import eventually
from erlang_stubs.cluster import COOKIE, CUSTOM_MARKER, SECRET_MARKER
from tests.erlang.proxy import TO_NODE, Proxy
from tests.support.recorder import recording

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.beam import Beam
    from erlang_stubs.cluster import StubCluster

Ask = "Callable[..., ClusterFacts]"
NodeOf = "Callable[[str], StubCluster]"

REASON = '{error, {invalid_password, "s3cr3t-of-a-module"}}'
FOR_EVER = "receive never -> ok end"


def distribution_port(cluster: StubCluster) -> int:
    """Where EPMD says that the first node listens."""
    command = ["epmd", "-port", str(cluster.epmd_port), "-names"]
    names = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    (line,) = (line for line in names.splitlines() if line.startswith(f"name {cluster.entry.partition('@')[0]} "))
    return int(line.split()[-1])


def patch(node: Beam, directory: Path, body: str) -> None:
    """Let the function that counts domains do something else."""
    source = directory / "mongoose_domain_core.erl"
    source.write_text(f"-module(mongoose_domain_core).\n-export([domains_count/0]).\ndomains_count() -> {body}.\n")
    node.eval(f'{{ok, M, Code}} = compile:file("{source}", [binary]), {{module, _}} = code:load_binary(M, "", Code)')


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        (f"error({REASON})", ("domain_count: error other",)),
        (f"throw({REASON})", ("domain_count: throw other",)),
        (f"exit({REASON})", ("domain_count: exit other",)),
        (f"exit(self(), {REASON}), {FOR_EVER}", ("domain_count: exit other",)),
        (f"spawn_link(fun() -> exit({REASON}) end), {FOR_EVER}", ("domain_count: exit other",)),
        (f"spawn_link(fun() -> error({REASON}) end), {FOR_EVER}", ("domain_count: exit other",)),
        (f"{{parent, P}} = process_info(self(), parent), exit(P, {REASON}), 7", ()),
        (
            "{parent, P} = process_info(self(), parent), {parent, A} = process_info(P, parent), "
            f"link(A), exit(A, {REASON}), 7",
            (),
        ),
        (f'io:format("~p~n", [{REASON}]), 7', ()),
        (f"catch maps:get(s3cr3t, {REASON})", ("domain_count: error case_clause",)),
    ],
)
def test_a_reason_never_leaves_the_node_whatever_a_function_does(
    node_of: NodeOf, ask: Ask, tmp_path: Path, body: str, notes: tuple[str, ...]
) -> None:
    cluster = node_of("6.8_prometheus")
    patch(cluster.nodes[0], tmp_path, body)
    with recording(distribution_port(cluster)) as recorder:
        facts = ask(cluster, f"{cluster.entry}:{recorder.port}")
    assert facts.notes == notes
    assert facts.domain_count == (None if notes else 7)
    assert facts.host_count == 4
    assert b"domain_count" in recorder.received
    assert b"s3cr3t" not in recorder.received
    assert b"invalid_password" not in recorder.received


@pytest.mark.parametrize("scenario", ["default", "hostile", "6.1", "6.3"])
def test_a_custom_name_never_leaves_the_node(node_of: NodeOf, ask: Ask, scenario: str) -> None:
    cluster = node_of(scenario)
    entry = NodeName.parse(cluster.entry)

    async def own_report(port: int) -> None:
        async with Node(None, Secret(COOKIE), epmd_port=cluster.epmd_port) as node:
            own = await ask_own_report(node, entry._replace(port=port), timeout=10)
        if scenario == "hostile":
            assert own.failure == "error badmatch"
        else:
            assert own.failure is None
            assert (CUSTOM_NAME in {params.get("module") for _, params in own.events}) is (scenario == "default")

    with recording(distribution_port(cluster)) as recorder:
        ask(cluster, f"{entry}:{recorder.port}")
        asyncio.run(own_report(recorder.port))
    assert b"outgoing_pools" in recorder.received
    assert CUSTOM_MARKER.encode() not in recorder.received
    assert SECRET_MARKER.encode() not in recorder.received


async def test_a_connection_that_is_slow_to_make_leaves_the_probes_less_time(node_of: NodeOf, tmp_path: Path) -> None:
    """Else a fact that hangs would cost the whole node there."""
    cluster = node_of("6.8_prometheus")
    patch(cluster.nodes[0], tmp_path, FOR_EVER)

    async def wait(*_: object) -> None:
        await asyncio.sleep(1.5)

    async with (
        Proxy(distribution_port(cluster), TO_NODE, 0, wait) as slow,
        Node(None, Secret(COOKIE), epmd_port=cluster.epmd_port) as node,
    ):
        facts = await collect(node, [NodeName.parse(f"{cluster.entry}:{slow.port}")], timeout=3)
    assert facts.notes == ("domain_count: exit timeout",)
    assert facts.host_count == 4


@pytest.mark.parametrize("trapping", ["", "process_flag(trap_exit, true), "])
def test_a_fact_that_hangs_costs_only_itself_within_the_time_that_is_set(
    node_of: NodeOf, ask: Ask, tmp_path: Path, trapping: str
) -> None:
    cluster = node_of("6.8_prometheus")
    node = cluster.nodes[0]
    patch(node, tmp_path, "7")
    ask(cluster)
    before = int(node.eval("erlang:system_info(process_count)"))
    patch(node, tmp_path, trapping + FOR_EVER)
    facts = ask(cluster, timeout=2)
    assert facts.notes == ("domain_count: exit timeout",)
    assert facts.domain_count is None
    assert facts.host_count == 4
    eventually("no process is left", lambda: int(node.eval("erlang:system_info(process_count)")) <= before)
