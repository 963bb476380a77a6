"""A cluster of several nodes is one report: members are found, asked at once, and missed without harm."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Node, NodeName
from bridge.mongooseim.collect import collect
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.report.model import StanzaCount
from bridge.secret import Secret
from bridge.state.totals import stanza_counts
from erlang_stubs.cluster import COOKIE, StubCluster
from tests.mongooseim.conftest import changed

if TYPE_CHECKING:
    from collections.abc import Iterator

Ask = "Callable[..., ClusterFacts]"
NodeOf = "Callable[[str], StubCluster]"


@pytest.fixture(scope="module")
def three() -> Iterator[StubCluster]:
    """Three nodes that a test may change, if it changes them back."""
    with StubCluster("6.8_prometheus", 3) as cluster:
        yield cluster


def test_the_members_are_found_from_any_entry(default_cluster: StubCluster, ask: Ask) -> None:
    names = [node.name for node in default_cluster.nodes]
    for entry in names:
        facts = ask(default_cluster, entry)
        assert [node.name for node in facts.nodes] == names
        assert [node.node_number for node in facts.nodes] == [2, 2]
        assert facts.domain_count == 5, "the larger of 5 and 3"


def test_naming_every_node_as_an_entry_asks_each_once(default_cluster: StubCluster, ask: Ask) -> None:
    assert len(ask(default_cluster, *(node.name for node in default_cluster.nodes)).nodes) == 2


def test_three_nodes_are_one_report(three: StubCluster, ask: Ask) -> None:
    facts = ask(three)
    assert len(facts.nodes) == 3
    assert {node.node_number for node in facts.nodes} == {3}
    assert facts.host_count == 4


def test_a_member_that_does_not_answer_is_named_and_holds_up_nobody(three: StubCluster, ask: Ask) -> None:
    three.nodes[2].pause()
    began = time.monotonic()
    try:
        facts = ask(three, timeout=2)
    finally:
        three.nodes[2].resume()
    assert time.monotonic() - began < 6
    assert [node.name for node in facts.nodes] == [node.name for node in three.nodes[:2]]
    (missed,) = facts.unreachable
    assert missed.node == three.nodes[2].name
    assert missed.node in missed.reason


def test_an_entry_that_is_down_does_not_matter_while_another_is_up(default_cluster: StubCluster, ask: Ask) -> None:
    facts = ask(default_cluster, "nobody@localhost", default_cluster.nodes[1].name)
    assert len(facts.nodes) == 2
    assert [node.node for node in facts.unreachable] == ["nobody@localhost"]


def test_a_member_where_mongooseim_is_stopped_is_missed(three: StubCluster, ask: Ask) -> None:
    stopped = three.nodes[1]
    stopped.eval("stub:stop_mongooseim()")
    try:
        facts = ask(three)
    finally:
        stopped.eval("stub:start_mongooseim()")
    assert [node.name for node in facts.nodes] == [three.entry, three.nodes[2].name]
    assert [(node.node, "not running" in node.reason) for node in facts.unreachable] == [(stopped.name, True)]


def test_no_node_at_all_gives_every_reason(default_cluster: StubCluster, ask: Ask) -> None:
    with pytest.raises(NoNodeAnswered) as caught:
        ask(default_cluster, "nobody@localhost", "mongooseim@no-such-host")
    assert len(str(caught.value).splitlines()) == 2


def test_a_restarted_node_is_a_new_incarnation(three: StubCluster, ask: Ask) -> None:
    before = ask(three).stanzas.keys()
    three.nodes[1].restart()
    three.join()
    after = ask(three).stanzas.keys()
    assert {incarnation.node for incarnation in before} == {incarnation.node for incarnation in after}
    assert len(before & after) == 2


def test_counters_that_start_again_with_the_application_count_whole(node_of: NodeOf, ask: Ask) -> None:
    cluster = node_of("6.8_prometheus")
    before = ask(cluster).stanzas
    cluster.nodes[0].eval("stub:stop_mongooseim(), stub:start_mongooseim(), stub:advance(xmppMessageSent, 130)")
    after = ask(cluster).stanzas
    assert {incarnation.node for incarnation in before} == {incarnation.node for incarnation in after}
    sent = stanza_counts(before, after)[0]
    # 120 before and 130 now are not 10 more.
    assert sent == StanzaCount("xmppMessageSent", 130, 130)
    assert ask(cluster).stanzas.keys() == after.keys()


def test_a_component_that_two_nodes_serve_counts_once_on_each(default_cluster: StubCluster, ask: Ask) -> None:
    assert [node.components for node in ask(default_cluster).nodes] == [2, 1]


def test_there_are_as_many_pools_of_a_type_as_the_node_with_the_most_has(three: StubCluster, ask: Ask) -> None:
    pools = "[#{type => T} || T <- [http, http, http, redis, cassandra]]"
    with changed(three.nodes[1], "{config, outgoing_pools}", pools):
        assert ask(three).outgoing_pools == ("cassandra", "http", "http", "http", "ldap", "rdbms", "redis")


async def test_another_bridge_is_counted_and_our_own_service_is_not(default_cluster: StubCluster) -> None:
    cookie, port, name = Secret(COOKIE), default_cluster.epmd_port, "mongooseim_bridge@localhost"
    entries = [NodeName.parse(node.name) for node in default_cluster.nodes]
    async with Node(name, cookie, epmd_port=port) as service, Node(None, cookie, epmd_port=port) as node:
        await service.connect(entries[1], timeout=10)
        assert (await collect(node, entries, timeout=10)).other_bridges == 1
        assert (await collect(node, entries, timeout=10, own_name=name)).other_bridges == 0


def test_modules_that_differ_between_nodes_are_united_per_host_type(three: StubCluster, ask: Ask) -> None:
    alone = ask(three)
    with changed(three.nodes[1], "modules", '[{[<<"trial users">>], #{mod_time => #{}}} | stub:get(modules)]'):
        united = ask(three)
    extra = {module.name for group in united.modules for module in group.modules} - {
        module.name for group in alone.modules for module in group.modules
    }
    assert extra == {"mod_time"}
    (trial,) = (
        group for group in united.modules if {module.name for module in group.modules} == {"mod_presence", "mod_time"}
    )
    assert trial.host_types == 1
