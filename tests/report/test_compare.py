"""A difference is explained only where the facts say so; anything else is unexplained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bridge.mongooseim.answers import Modules, NodeAnswer
from bridge.mongooseim.facts import Incarnation, Module, TlsOption
from bridge.mongooseim.merge import merge
from bridge.mongooseim.own_report import CUSTOM_NAME, OwnReport
from bridge.report.compare import AGREES, UNEXPLAINED, Compared, Deviation, compare
from bridge.report.events import events
from bridge.state.totals import stanza_counts

if TYPE_CHECKING:
    from bridge.mongooseim.own_report import OwnEvent

ROSTER = Module("mod_roster", backend="rdbms")
MUC = Module("mod_muc", backend="mnesia", online_backend="cets")
PING = Module("mod_ping")
ANSWER = NodeAnswer(
    name="mongooseim@localhost",
    members=(),
    running=True,
    version="6.8.0",
    otp_release="27",
    uptime_seconds=3661,
    config_type="toml",
    components=0,
    node_number=1,
    host_count=2,
    domain_count=3,
    modules=Modules({1: frozenset({ROSTER, MUC, PING}), 2: frozenset({ROSTER})}, frozenset({7})),
    http_handlers=frozenset({"mongoose_bosh_handler", "mongoose_prometheus_handler"}),
    transports=frozenset({"tcp"}),
    tls_options=frozenset({TlsOption("starttls")}),
    outgoing_pools=("http", "http"),
    stanzas={Incarnation("mongooseim@localhost", 1): {"xmppIqSent": 5}},
    cluster_id=None,
    own_reporter=False,
)
OWN: tuple[OwnEvent, ...] = (
    ("host_count", {"value": 2}),
    ("domain_count", {"value": 3}),
    ("module_with_opt", {"module": "mod_roster", "backend": "rdbms"}),
    ("module_with_opt", {"module": "mod_roster", "backend": "rdbms"}),
    ("module_with_opt", {"module": "mod_muc", "backend": "mnesia", "online_backend": "cets"}),
    ("module_with_opt", {"module": "mod_muc"}),
    ("custom_module_count", {"value": 2}),
    (
        "cluster",
        {"uptime": "0000-01:01:02", "version": "6.8.0", "component": 0, "node_number": 1, "config_type": "toml"},
    ),
    ("http_api", {"mongoose_bosh_handler": "enabled"}),
    ("transport_mechanism", {"tcp": "enabled", "mongoose_bosh_handler": "enabled"}),
    ("outgoing_pool", {"value": "http"}),
    ("outgoing_pool", {"value": "http"}),
    ("xmpp_stanza_count", {"stanza_type": "xmppIqSent", "total": 5, "increment": 5}),
)


def rows(
    own: tuple[OwnEvent, ...], answer: NodeAnswer = ANSWER, after: NodeAnswer | None = None
) -> tuple[Compared, ...]:
    facts = merge([answer])
    return compare(OwnReport(own), events(facts, stanza_counts({}, facts.stanzas)), answer, after or answer)


def changed(event: str, **params: str | int) -> tuple[OwnEvent, ...]:
    """The own report with other params of one event."""
    return tuple((name, {**given, **params} if name == event else given) for name, given in OWN)


def test_each_documented_deviation_is_named() -> None:
    found = [(row.event, row.verdict) for row in rows(OWN) if row.verdict != AGREES]
    assert found == [
        ("module_with_opt", Deviation.PER_HOST_TYPE),
        ("module_with_opt", Deviation.STOCK_MODULES),
        ("custom_module_count", Deviation.CUSTOM_COUNT),
        ("cluster", Deviation.UPTIME_SECONDS),
        ("http_api", Deviation.ALL_HANDLERS),
        ("http_api", Deviation.ONE_DIMENSION),
        ("transport_mechanism", Deviation.ONE_DIMENSION),
        ("outgoing_pool", Deviation.ONE_DIMENSION),
        ("tls_option", Deviation.TLS_ALWAYS),
    ]


@pytest.mark.parametrize("index", range(len(OWN)))
def test_an_event_that_says_something_else_is_unexplained(index: int) -> None:
    name, params = OWN[index]
    other = {key: value + 1000 if isinstance(value, int) else "mod_other" for key, value in params.items()}
    if name == "cluster":
        other["uptime"] = "0001-00:00:00"
    own = (*OWN[:index], (name, other), *OWN[index + 1 :])
    # Only a name that is not known counts as custom; one that is known and wrong is not explained by that.
    if name == "module_with_opt":
        own = (*OWN[:index], (name, {"module": "mod_vcard"}), *OWN[index + 1 :])
    if name == "outgoing_pool":
        own = (*OWN[:index], (name, {"value": "redis"}), *OWN[index + 1 :])
    assert UNEXPLAINED in {row.verdict for row in rows(own)}


@pytest.mark.parametrize("name", ["host_count", "cluster", "custom_module_count", "http_api", "transport_mechanism"])
def test_an_event_that_one_side_lacks_is_unexplained(name: str) -> None:
    own = tuple(event for event in OWN if event[0] != name)
    verdicts = {row.verdict for row in rows(own) if row.event == name}
    assert verdicts - {Deviation.UPTIME_SECONDS, Deviation.ONE_DIMENSION} == {UNEXPLAINED}


def test_a_custom_name_or_value_is_shown_as_kept_at_home() -> None:
    answer = replace(ANSWER, modules=Modules({1: frozenset({Module("mod_roster", backend="custom")})}), host_count=1)
    own = (
        ("module_with_opt", {"module": "mod_roster", "backend": CUSTOM_NAME}),
        ("module_with_opt", {"module": CUSTOM_NAME, CUSTOM_NAME: 1}),
    )
    verdicts = {row.verdict for row in rows(own, answer) if row.event == "module_with_opt"}
    assert verdicts == {Deviation.CUSTOM_NAMES}


def test_a_collector_that_failed_is_one_row() -> None:
    (row,) = compare(OwnReport((), "error badmatch"), events(merge([ANSWER])), ANSWER, ANSWER)
    assert (row.own, row.verdict) == ("failed: error badmatch", Deviation.NO_CRASH)


def test_an_empty_event_of_theirs_is_explained() -> None:
    answer = replace(ANSWER, http_handlers=frozenset())
    own = tuple((name, {} if name == "http_api" else params) for name, params in OWN)
    assert Deviation.NO_EMPTY_EVENTS in {row.verdict for row in rows(own, answer) if row.event == "http_api"}


@pytest.mark.parametrize(
    ("total", "later", "verdict"),
    [(5, 5, AGREES), (6, 5, UNEXPLAINED), (4, 9, UNEXPLAINED), (7, 9, AGREES), (10, 9, UNEXPLAINED)],
)
def test_a_counter_agrees_where_it_lies_between_our_two_readings(total: int, later: int, verdict: str) -> None:
    after = replace(ANSWER, stanzas={Incarnation("mongooseim@localhost", 1): {"xmppIqSent": later}})
    found = rows(changed("xmpp_stanza_count", total=total, increment=total), after=after)
    assert [row.verdict for row in found if row.event == "xmpp_stanza_count"] == [verdict]


@pytest.mark.parametrize(
    ("version", "kept", "verdict"),
    [
        ("6.3.3", 5, Deviation.ANY_METRICS),
        ("6.5.0", None, Deviation.ANY_METRICS),
        ("6.8.0", 5, UNEXPLAINED),
        ("6.8.0", None, UNEXPLAINED),
    ],
)
def test_zeros_of_exometer_are_explained_where_the_release_asks_nothing_else(
    version: str, kept: int | None, verdict: str
) -> None:
    stanzas = {Incarnation("mongooseim@localhost", 1): {"xmppIqSent": kept}} if kept else {}
    found = rows(changed("xmpp_stanza_count", total=0, increment=0), replace(ANSWER, version=version, stanzas=stanzas))
    assert [row.verdict for row in found if row.event == "xmpp_stanza_count"] == [verdict]


@pytest.mark.parametrize(
    ("members", "listed", "verdict"),
    [
        (("b@h",), 4, Deviation.COMPONENTS_ONCE),
        (("b@h",), 5, UNEXPLAINED),
        ((), 3, UNEXPLAINED),
        (("b@h",), 1, UNEXPLAINED),
    ],
)
def test_a_higher_component_count_is_explained_by_as_many_nodes(
    members: tuple[str, ...], listed: int, verdict: str
) -> None:
    answer = replace(ANSWER, components=2, members=members)
    found = rows(changed("cluster", component=listed, node_number=len(members) + 1), answer)
    assert [row.verdict for row in found if row.own == f"component={listed}"] == [verdict]


def test_a_custom_version_is_shown_as_cut_off() -> None:
    assert Deviation.VERSION_SUFFIX in {row.verdict for row in rows(changed("cluster", version=CUSTOM_NAME))}
