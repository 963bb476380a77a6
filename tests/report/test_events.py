"""The events are the contract with dashboards that exist."""

from msgspec.structs import replace

from bridge.mongooseim.facts import ClusterFacts, Incarnation, Module, ModuleSet, NodeFacts, TlsOption
from bridge.report.events import COLUMNS, EVENTS, events, uptime
from bridge.report.model import Event, StanzaCount

ROSTER = Module("mod_roster", backend="mnesia")
MUC = Module("mod_muc", backend="mnesia", online_backend="cets")
NODE = NodeFacts("mongooseim1@localhost", "6.8.0", "27", 93_784, 2, 2, "toml")
FACTS = ClusterFacts(
    nodes=(NODE, replace(NODE, name="mongooseim2@localhost", uptime_seconds=5, components=0)),
    unreachable=(),
    cluster_id="2b8a3b2e",
    host_count=3,
    domain_count=5,
    modules=(ModuleSet((MUC, ROSTER), 2), ModuleSet((ROSTER,), 1)),
    custom_module_count=1,
    http_api=("mongoose_graphql_handler",),
    transports=("tcp", "mongoose_bosh_handler"),
    tls_options=(TlsOption("starttls"), TlsOption("tls", "just_tls")),
    outgoing_pools=("redis", "rdbms"),
    stanzas={Incarnation("mongooseim1@localhost", 7): {"xmppIqSent": 26}},
    own_reporter=False,
)


def of(name: str, produced: tuple[Event, ...]) -> list[dict[str, object]]:
    return [dict(event.params) for event in produced if event.name == name]


def test_cluster_facts_are_reported_once_and_node_facts_once_per_node() -> None:
    produced = events(FACTS)
    assert of("host_count", produced) == [{"value": 3}]
    assert of("domain_count", produced) == [{"value": 5}]
    assert of("custom_module_count", produced) == [{"value": 1}]
    assert of("cluster", produced) == [
        {
            "uptime": "0001-02:03:04",
            "uptime_seconds": 93_784,
            "version": "6.8.0",
            "component": 2,
            "node_number": 2,
            "config_type": "toml",
        },
        {
            "uptime": "0000-00:00:05",
            "uptime_seconds": 5,
            "version": "6.8.0",
            "component": 0,
            "node_number": 2,
            "config_type": "toml",
        },
    ]


def test_a_module_is_reported_for_each_host_type_where_it_is_loaded() -> None:
    produced = of("module_with_opt", events(FACTS))
    assert produced.count({"module": "mod_roster", "backend": "mnesia"}) == 3
    assert produced.count({"module": "mod_muc", "backend": "mnesia", "online_backend": "cets"}) == 2
    assert len(produced) == 5


def test_aggregated_modules_carry_the_number_of_host_types() -> None:
    assert of("module_with_opt", events(FACTS, aggregate_modules=True)) == [
        {"module": "mod_muc", "backend": "mnesia", "online_backend": "cets", "host_types": 2},
        {"module": "mod_roster", "backend": "mnesia", "host_types": 3},
    ]


def test_interfaces_are_flags_pools_and_tls_are_events_of_their_own() -> None:
    produced = events(FACTS)
    assert of("http_api", produced) == [{"mongoose_graphql_handler": "enabled", "enabled": "graphql"}]
    assert of("transport_mechanism", produced) == [
        {"tcp": "enabled", "mongoose_bosh_handler": "enabled", "enabled": "bosh, tcp"}
    ]
    assert of("tls_option", produced) == [{"mode": "starttls"}, {"mode": "tls", "module": "just_tls"}]
    assert of("outgoing_pool", produced) == [
        {"value": "redis", "pool": "redis"},
        {"value": "rdbms", "pool": "rdbms"},
    ]


def test_a_handler_has_one_short_name_in_all_releases() -> None:
    mixed = replace(FACTS, transports=("mod_bosh", "mod_websockets", "mongoose_bosh_handler", "tcp"))
    (transports,) = of("transport_mechanism", events(mixed))
    assert transports["enabled"] == "bosh, tcp, websocket"


def test_every_param_is_a_column_of_ga4_or_shown_by_one_of_the_same_event() -> None:
    kinds: dict[str, set[str]] = {}
    for params in EVENTS.values():
        for name, param in params.items():
            if param.shown_by:
                assert not params[param.shown_by].shown_by
            else:
                kinds.setdefault(name, set()).add(param.kind)
    assert kinds.keys() == COLUMNS.keys()
    assert all(len(each) == 1 for each in kinds.values()), "GA4 knows params by name, whatever the event"


def test_stanza_counts_carry_total_and_increment() -> None:
    produced = events(FACTS, [StanzaCount("xmppIqSent", 26, 6)])
    assert of("xmpp_stanza_count", produced) == [{"stanza_type": "xmppIqSent", "total": 26, "increment": 6}]


def test_a_fact_that_nobody_knows_gives_no_event() -> None:
    unknown = replace(
        FACTS, host_count=None, domain_count=None, custom_module_count=None, http_api=(), transports=(), modules=()
    )
    assert {event.name for event in events(unknown)} == {"cluster", "tls_option", "outgoing_pool"}


def test_uptime_is_written_as_mongooseim_writes_it() -> None:
    assert uptime(0) == "0000-00:00:00"
    assert uptime(86_399) == "0000-23:59:59"
    assert uptime(12_345 * 86_400 + 3_661) == "12345-01:01:01"
