"""What the events say in words, and which backends they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.health.words import backends, figures, in_words
from bridge.report.events import events as events_of
from bridge.report.model import Event
from bridge.state.totals import stanza_counts

if TYPE_CHECKING:
    from bridge.mongooseim.facts import ClusterFacts


def worded(*events: Event) -> dict[str, str]:
    return {topic.name: topic.text for topic in in_words(events)}


def module(name: str, **params: str | int) -> Event:
    return Event("module_with_opt", {"module": name, **params})


async def test_every_event_of_a_real_report_has_words(facts: ClusterFacts) -> None:
    made = events_of(facts, stanza_counts({}, facts.stanzas), aggregate_modules=False)
    words = worded(*made)
    assert words["MongooseIM"] == "6.8.0 on 2 nodes"
    assert words["External components"] == "2, 1 (each node counts those that it knows)"
    assert words["Configuration"] == "toml"
    assert words["Host types"] == "4"
    assert words["Domains"] == "5"
    assert words["Custom modules"] == "2, and nothing else about them"
    assert words["Transports"] == "mongoose_bosh_handler, mongoose_websocket_handler, tcp"
    assert words["TLS of clients"] == "starttls, tls"
    assert words["Outgoing pools"] == "http (2), ldap, rdbms, redis"
    assert {"Uptime", "Modules", "HTTP APIs", "Messages sent", "IQs received", "Presences sent"} < words.keys()
    assert not {event.name for event in made} & words.keys(), "an event went without words"


def test_uptimes_are_a_range_and_releases_are_counted() -> None:
    nodes = [(90, "6.8.0"), (3 * 86_400 + 4 * 3600, "6.8.0"), (7300, "6.5.0")]
    words = worded(*(Event("cluster", {"uptime_seconds": uptime, "version": version}) for uptime, version in nodes))
    assert words["Uptime"] == "1 min 30 s to 3 days 4 h"
    assert words["MongooseIM"] == "6.8.0 on 2 nodes, 6.5.0 on 1 node"


def test_aggregated_modules_say_the_same_as_single_ones() -> None:
    single = [module("mod_roster", backend="rdbms")] * 3 + [module("mod_ping")] * 2
    aggregated = [module("mod_roster", backend="rdbms", host_types=3), module("mod_ping", host_types=2)]
    assert worded(*single) == worded(*aggregated) == {"Modules": "2 of MongooseIM's own, loaded 5 times"}
    assert backends(single) == backends(aggregated) == {"mod_roster": {"rdbms": 3}}
    assert figures(single).modules == figures(aggregated).modules == 2


def test_the_chart_tells_backends_and_the_two_of_one_module_apart() -> None:
    made = [
        module("mod_muc", backend="mnesia", online_backend="cets"),
        module("mod_muc", backend="rdbms", online_backend="cets"),
        module("mod_muc", backend="rdbms", online_backend="cets"),
        module("mod_last", backend="mnesia"),
        module("mod_push_service_mongoosepush", api_version="v3"),
    ]
    assert backends(made) == {
        "mod_last": {"mnesia": 1},
        "mod_muc": {"rdbms": 2, "mnesia": 1},
        "mod_muc (online)": {"cets": 3},
    }


def test_all_backends_of_the_event_pusher_are_told_though_its_event_names_one() -> None:
    made = [
        *[module("mod_event_pusher", backend="push")] * 2,
        module("mod_event_pusher_http"),
        *[module("mod_event_pusher_push", backend="rdbms")] * 2,
    ]
    assert backends(made)["mod_event_pusher"] == {"push": 2, "http": 1}


def test_an_event_that_nobody_has_worded_is_still_told() -> None:
    assert worded(Event("brand_new", {"a": 1}), Event("brand_new", {"a": 2})) == {"brand_new": "2 events"}


def test_values_of_unexpected_types_are_no_failure() -> None:
    odd = [
        Event("cluster", {"uptime_seconds": "long", "component": "many"}),
        module("mod_ping", host_types="all"),
        Event("xmpp_stanza_count", {"stanza_type": "xmppAcme", "total": "x"}),
        Event("module_with_opt", {}),
    ]
    assert worded(*odd)["xmppAcme"] == "0 (0 new)"
    assert backends(odd) == {}


def test_figures_of_nodes_that_know_the_same_components_are_not_added_up() -> None:
    assert worded(*(Event("cluster", {"component": 4}) for _ in range(2)))["External components"] == "4"
