"""A difference is explained only where the facts say so; anything else is unexplained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.mongooseim.answers import Modules, NodeAnswer
from bridge.mongooseim.facts import Module, TlsOption
from bridge.mongooseim.merge import merge
from bridge.mongooseim.own_report import OwnReport
from bridge.report.compare import AGREES, UNEXPLAINED, Deviation, Row, compare
from bridge.report.events import events
from bridge.state.totals import stanza_counts

if TYPE_CHECKING:
    from bridge.mongooseim.own_report import OwnEvent

ROSTER = Module("mod_roster", backend="rdbms")
MUC = Module("mod_muc", backend="mnesia", online_backend="cets")
PING = Module("mod_ping")
ANSWER = NodeAnswer(
    name="mongooseim@localhost",
    creation=1,
    members=(),
    running=True,
    version="6.8.0",
    otp_release="27",
    uptime_seconds=3661,
    config_type="toml",
    components=0,
    host_count=2,
    domain_count=3,
    modules=Modules({1: frozenset({ROSTER, MUC, PING}), 2: frozenset({ROSTER})}, frozenset({"mod_acme"})),
    http_handlers=frozenset({"mongoose_bosh_handler", "mongoose_prometheus_handler"}),
    transports=frozenset({"tcp"}),
    tls_options=frozenset({TlsOption("starttls")}),
    outgoing_pools=frozenset({"http"}),
    stanzas={"xmppIqSent": 5},
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


def rows(own: tuple[OwnEvent, ...], answer: NodeAnswer = ANSWER) -> tuple[Row, ...]:
    facts = merge([answer])
    return compare(OwnReport(own), events(facts, stanza_counts({}, facts.stanzas)), answer)


def test_each_documented_deviation_is_named() -> None:
    found = [(row.event, row.verdict) for row in rows(OWN) if row.verdict != AGREES]
    assert found == [
        ("module_with_opt", Deviation.PER_HOST_TYPE),
        ("module_with_opt", Deviation.STOCK_MODULES),
        ("custom_module_count", Deviation.CUSTOM_COUNT),
        ("cluster", Deviation.UPTIME_SECONDS),
        ("http_api", Deviation.ALL_HANDLERS),
        ("outgoing_pool", Deviation.POOL_ONCE),
        ("tls_option", Deviation.TLS_ALWAYS),
    ]


@pytest.mark.parametrize("index", range(len(OWN)))
def test_an_event_that_says_something_else_is_unexplained(index: int) -> None:
    name, params = OWN[index]
    changed = {key: value + 1000 if isinstance(value, int) else "mod_other" for key, value in params.items()}
    if name == "cluster":
        changed["uptime"] = "0001-00:00:00"
    own = (*OWN[:index], (name, changed), *OWN[index + 1 :])
    # Only a name that is not known counts as custom; one that is known and wrong is not explained by that.
    if name == "module_with_opt":
        own = (*OWN[:index], (name, {"module": "mod_vcard"}), *OWN[index + 1 :])
    if name == "outgoing_pool":
        own = (*OWN[:index], (name, {"value": "redis"}), *OWN[index + 1 :])
    assert UNEXPLAINED in {row.verdict for row in rows(own)}


@pytest.mark.parametrize("name", ["host_count", "cluster", "custom_module_count", "transport_mechanism"])
def test_an_event_that_one_side_lacks_is_unexplained(name: str) -> None:
    own = tuple(event for event in OWN if event[0] != name)
    assert [row.verdict for row in rows(own) if row.event == name] == [UNEXPLAINED]


def test_a_custom_name_or_value_is_shown_as_kept_at_home() -> None:
    answer = replace(ANSWER, modules=Modules({1: frozenset({Module("mod_roster", backend="custom")})}), host_count=1)
    own = (
        ("module_with_opt", {"module": "mod_roster", "backend": "vault"}),
        ("module_with_opt", {"module": "mod_acme"}),
    )
    verdicts = {row.verdict for row in rows(own, answer) if row.event == "module_with_opt"}
    assert verdicts == {Deviation.CUSTOM_NAMES}


def test_a_collector_that_failed_is_one_row() -> None:
    (row,) = compare(OwnReport((), "error badmatch"), events(merge([ANSWER])), ANSWER)
    assert (row.own, row.verdict) == ("failed: error badmatch", Deviation.NO_CRASH)


def test_an_empty_event_of_theirs_is_explained() -> None:
    answer = replace(ANSWER, http_handlers=frozenset())
    own = tuple((name, {} if name == "http_api" else params) for name, params in OWN)
    assert Deviation.NO_EMPTY_EVENTS in {row.verdict for row in rows(own, answer) if row.event == "http_api"}


def test_counters_that_went_on_between_the_two_readings_agree() -> None:
    own = tuple(
        (name, {**params, "total": 4, "increment": 4} if name == "xmpp_stanza_count" else params)
        for name, params in OWN
    )
    assert {row.verdict for row in rows(own) if row.event == "xmpp_stanza_count"} == {AGREES}
