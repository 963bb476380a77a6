"""Every supported release and condition gives its facts, from nodes that answer as each of them does.

What is expected is read off `erlang_stubs/scenarios/*.terms`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.mongooseim.errors import NoNodeAnswered
from bridge.mongooseim.facts import Module, TlsOption
from tests.mongooseim.conftest import changed

if TYPE_CHECKING:
    from bridge.mongooseim.facts import ClusterFacts

Ask = "Callable[..., ClusterFacts]"
NodeOf = "Callable[[str], StubCluster]"

OLD_HANDLERS = ("mod_bosh", "mod_websockets", "mongoose_admin_api", "mongoose_client_api", "mongoose_graphql_handler")
COUNTS = {
    "xmppMessageSent": 120,
    "xmppMessageReceived": 95,
    "xmppIqSent": 260,
    "xmppIqReceived": 130,
    "xmppPresenceSent": 75,
    "xmppPresenceReceived": 48,
}
NO_TLS_MODULE = (TlsOption("starttls"), TlsOption("tls"))
TLS_MODULES = (TlsOption("starttls", "fast_tls"), TlsOption("tls", "just_tls"))


def counts(facts: ClusterFacts) -> dict[str, int] | None:
    return dict(next(iter(facts.stanzas.values()))) if facts.stanzas else None


@pytest.mark.parametrize(
    ("scenario", "version", "tls", "handlers"),
    [
        ("6.1", "6.1.0", TLS_MODULES, OLD_HANDLERS),
        ("6.2", "6.2.1", TLS_MODULES, OLD_HANDLERS),
        ("6.3", "6.3.3", TLS_MODULES, OLD_HANDLERS),
        ("6.5", "6.5.0", NO_TLS_MODULE, (*OLD_HANDLERS, "mongoose_prometheus_handler")),
    ],
)
def test_releases_before_66(
    node_of: NodeOf, ask: Ask, scenario: str, version: str, tls: tuple[TlsOption, ...], handlers: tuple[str, ...]
) -> None:
    facts = ask(node_of(scenario))
    assert facts.notes == ()
    (node,) = facts.nodes
    assert node.version == version
    assert facts.tls_options == tls
    assert facts.http_api == handlers
    assert facts.transports == ("mod_bosh", "mod_websockets", "tcp")
    assert counts(facts) == COUNTS
    assert facts.host_count == 4
    assert facts.custom_module_count == 1
    sizes = {group.host_types: {module.name for module in group.modules} for group in facts.modules}
    assert sizes[2] == {"mod_presence"}
    per_host_type = [module for group in facts.modules for module in group.modules if module.name == "mod_bosh"]
    assert per_host_type == [Module("mod_bosh", backend="mnesia")] * 2


@pytest.mark.parametrize(
    ("scenario", "kept"),
    [("6.8_prometheus", True), ("6.8_exometer", True), ("6.8_both", True), ("6.8_none", False)],
)
def test_stanza_counts_from_whatever_metrics_are_kept(node_of: NodeOf, ask: Ask, scenario: str, *, kept: bool) -> None:
    facts = ask(node_of(scenario))
    assert facts.notes == ()
    assert counts(facts) == (COUNTS if kept else None)


def test_metrics_that_are_configured_but_not_started_cost_one_fact(node_of: NodeOf, ask: Ask) -> None:
    facts = ask(node_of("6.8_metrics_not_started"))
    assert facts.notes == ("stanza_counts: error badarg",)
    assert facts.stanzas == {}
    assert facts.host_count == 4
    assert facts.custom_module_count == 2


@pytest.mark.parametrize(
    ("scenario", "cluster_id"),
    [
        ("6.8_none", None),
        ("6.2", "c1f0a1de-93c4-4bd3-8f55-0a4d2f6b9e17"),
        ("persistent_id", "3b8f2f0e-6a57-4a5e-9d0b-6f1f4b7c2a91"),
        ("hostile", None),
    ],
)
def test_the_cluster_id_is_used_where_it_is_kept(
    node_of: NodeOf, ask: Ask, scenario: str, cluster_id: str | None
) -> None:
    assert ask(node_of(scenario)).cluster_id == cluster_id


@pytest.mark.parametrize(("scenario", "on"), [("6.8_none", False), ("own_reporter_on", True), ("hostile", True)])
def test_the_own_reporter_is_noticed(node_of: NodeOf, ask: Ask, scenario: str, *, on: bool) -> None:
    assert ask(node_of(scenario)).own_reporter is on


def test_an_own_reporter_that_sends_to_its_makers_only_counts_nothing_twice(node_of: NodeOf, ask: Ask) -> None:
    cluster = node_of("6.8_none")
    with changed(cluster.nodes[0], "{config, services}", "#{service_mongoose_system_metrics => #{report => true}}"):
        assert ask(cluster).own_reporter is False


def test_a_stopped_application_is_reported_as_such(node_of: NodeOf, ask: Ask) -> None:
    cluster = node_of("app_stopped")
    with pytest.raises(NoNodeAnswered, match="MongooseIM is not running on it; it may be starting") as caught:
        ask(cluster)
    assert [node.node for node in caught.value.nodes] == [cluster.entry]


def test_custom_names_and_values_are_counted_or_called_custom(node_of: NodeOf, ask: Ask) -> None:
    facts = ask(node_of("hostile"))
    modules = {module for group in facts.modules for module in group.modules}
    assert Module("mod_roster", backend="custom") in modules
    assert Module("mod_vcard", backend="custom") in modules
    assert Module("mod_muc", backend="rdbms", online_backend="custom") in modules
    assert Module("mod_push_service_mongoosepush", api_version="custom") in modules
    assert Module("mod_event_pusher") in modules, "its config_metrics/1 fails there"
    assert facts.custom_module_count == 7
    assert facts.outgoing_pools == ("custom", "custom", "redis")
    assert facts.http_api == ("mongoose_bosh_handler",)
    assert facts.tls_options == (TlsOption("custom"), TlsOption("custom", "custom"))
    (node,) = facts.nodes
    assert (node.version, node.config_type) == ("6.8.0", "unknown_config_type")


def test_many_host_types_with_the_same_modules_are_one_entry(node_of: NodeOf, ask: Ask) -> None:
    facts = ask(node_of("large"))
    assert facts.host_count == 304
    assert facts.domain_count == 20_000
    assert sum(group.host_types for group in facts.modules) == 304
    assert len(facts.modules) == 4


@pytest.mark.parametrize(
    ("key", "failed"),
    [
        ("listen", ("http_handlers: error badmatch", "c2s_transports: error badmatch", "c2s_tls: error badmatch")),
        ("outgoing_pools", ("outgoing_pools: error badmatch",)),
        ("services", ()),
        # without the key this is a release before 6.3, where exometer has the counters, and it does not run here
        ("instrumentation", ("stanza_counts: error badarg",)),
    ],
)
def test_a_missing_option_costs_its_own_facts_only(
    node_of: NodeOf, ask: Ask, key: str, failed: tuple[str, ...]
) -> None:
    cluster = node_of("6.8_prometheus")
    with changed(cluster.nodes[0], f"{{config, {key}}}", None):
        facts = ask(cluster)
    assert facts.notes == failed
    assert facts.domain_count == 5
    assert facts.nodes[0].version == "6.8.0"
