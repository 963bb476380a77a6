"""Each question's answer for three installations, worked out on paper."""

import re
from datetime import date
from pathlib import Path

import pytest
import sqlglot

from bridge.fleet import local
from bridge.fleet.questions import questions, statement
from tests.fleet.support import answers, on, report, write_lines, write_parquet
from tests.support.docs import DOCS

SUNDAY, MONDAY, LAST = date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 9)


def module(name: str, **options: str) -> tuple[str, dict[str, str | int]]:
    return ("module_with_opt", {"module": name, **options})


def node(version: str, components: int, nodes: int, uptime: str = "0001-00:00:00") -> tuple[str, dict[str, str | int]]:
    return ("cluster", {"version": version, "component": components, "node_number": nodes, "uptime": uptime})


def counts(host_types: int, domains: int, custom: int) -> list[tuple[str, dict[str, str | int]]]:
    values = {"host_count": host_types, "domain_count": domains, "custom_module_count": custom}
    return [(name, {"value": value}) for name, value in values.items()]


def sent(increment: int) -> tuple[str, dict[str, str | int]]:
    return ("xmpp_stanza_count", {"stanza_type": "xmppMessageSent", "total": 1000, "increment": increment})


CASSANDRA = module("mod_mam", backend="cassandra")
# Anna moves her archive and upgrades; Bert reports once and falls silent; Cora, who does not say where she is, is in
# the middle of an upgrade.
EVENTS = [
    *report(
        "anna", on(SUNDAY), *counts(3, 9, 0), node("6.7.0", 5, 1), module("mod_mam", backend="cassandra"), sent(10)
    ),
    *report(
        "anna", on(LAST, 3), *counts(3, 9, 0), node("6.8.0", 5, 1), module("mod_mam", backend="cassandra"), sent(20)
    ),
    *report(
        "anna",
        on(LAST, 6),
        *counts(3, 9, 0),
        node("6.8.0", 1, 2, "0001-00:00:00"),
        node("6.8.0", 1, 2, "0002-00:00:00"),
        *(module("mod_mam", backend="rdbms") for _ in range(3)),
        module("mod_muc", backend="rdbms", online_backend="cets"),
        ("http_api", {"mongoose_graphql_handler": "enabled"}),
        ("transport_mechanism", {"tcp": "enabled"}),
        ("tls_option", {"mode": "starttls"}),
        ("outgoing_pool", {"value": "rdbms"}),
        ("outgoing_pool", {"value": "rdbms"}),
        sent(40),
        country="Poland",
    ),
    *report(
        "bert",
        on(MONDAY),
        *counts(1, 0, 7),
        node("6.7.0", 0, 1),
        module("mod_mam", backend="rdbms"),
        module("mod_mam", backend="cassandra"),
        module("mod_roster"),
        sent(0),
        country="Poland",
    ),
    *report(
        "cora",
        on(LAST),
        *counts(2, 9, 1),
        node("6.8.0", 0, 4, "0000-00:01:00"),
        node("6.7.0", 0, 3, "0003-00:00:00"),
        module("mod_muc", backend="mnesia"),
        module("mod_event_pusher_push", backend="rdbms", api_version="v3"),
        ("transport_mechanism", {"tcp": "enabled", "mongoose_websocket_handler": "enabled"}),
    ),
]

ANSWERS = {
    "active": {
        ("2026-11-01", "on the day"): 1,
        ("2026-11-01", "in seven days"): 1,
        ("2026-11-02", "on the day"): 1,
        ("2026-11-02", "in seven days"): 2,
        ("2026-11-09", "on the day"): 2,
        ("2026-11-09", "in seven days"): 2,
    },
    "versions": {
        ("MongooseIM", "6.8.0"): 1,
        ("MongooseIM", "6.7.0"): 1,
        ("MongooseIM", "6.7.0 and 6.8.0"): 1,
    },
    "versions_over_time": {
        ("2026-11-01", "6.7.0"): 1,
        ("2026-11-02", "6.7.0"): 1,
        ("2026-11-09", "6.8.0"): 1,
        ("2026-11-09", "6.7.0 and 6.8.0"): 1,
    },
    "features": {
        ("module", "mod_mam"): 2,
        ("module", "mod_muc"): 2,
        ("module", "mod_roster"): 1,
        ("module", "mod_event_pusher_push"): 1,
        ("API", "mongoose_graphql_handler"): 1,
        ("transport", "tcp"): 2,
        ("transport", "mongoose_websocket_handler"): 1,
        ("TLS mode", "starttls"): 1,
        ("outgoing pool", "rdbms"): 1,
    },
    "backends": {
        ("mod_mam", "rdbms"): 2,
        ("mod_mam", "cassandra"): 1,
        ("mod_mam", "(module not used)"): 1,
        ("mod_muc", "rdbms, online cets"): 1,
        ("mod_muc", "mnesia"): 1,
        ("mod_muc", "(module not used)"): 1,
        ("mod_event_pusher_push", "rdbms, API v3"): 1,
        ("mod_event_pusher_push", "(module not used)"): 2,
    },
    "combinations": {
        ("mod_mam", "mod_muc"): 1,
        ("mod_mam", "mod_roster"): 1,
        ("mod_muc", "mod_mam"): 1,
        ("mod_muc", "mod_event_pusher_push"): 1,
        ("mod_roster", "mod_mam"): 1,
        ("mod_event_pusher_push", "mod_muc"): 1,
    },
    "sizes": {
        ("nodes", "1"): 1,
        ("nodes", "2 to 3"): 1,
        ("nodes", "4 to 7"): 1,
        ("host types", "1"): 1,
        ("host types", "2 to 3"): 2,
        ("domains", "0"): 1,
        ("domains", "8 to 15"): 2,
    },
    "custom": {
        ("custom modules", "0"): 1,
        ("custom modules", "1"): 1,
        ("custom modules", "5 or more"): 1,
        ("components", "2"): 1,
        ("components", "0"): 2,
    },
    "stanzas": {
        ("2026-11-01", "xmppMessageSent"): (1, 10),
        ("2026-11-02", "xmppMessageSent"): (1, 0),
        ("2026-11-09", "xmppMessageSent"): (1, 60),
    },
    "countries": {("country", "Poland"): 2, ("country", "(not said)"): 1},
    "silent": {("2026-11-02", "6.7.0"): 1},
}


@pytest.fixture(scope="module", params=[write_lines, write_parquet], ids=["json", "parquet"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request.param(tmp_path_factory.mktemp("export") / "export", EVENTS)


def test_every_question_is_answered_as_on_paper(folder: Path) -> None:
    found = local.ask(folder, [], 1)

    told = {
        name: {row[:2]: (row[2], row[4]) if len(row) > 4 else row[2] for row in rows}
        for name, rows in answers(folder).items()
    }
    assert told == ANSWERS
    assert (found.first, found.last, found.unreadable) == (SUNDAY, LAST, 0)


def test_days_outside_are_left_out(folder: Path) -> None:
    rows = answers(folder, "versions", first=MONDAY, last=MONDAY)["versions"]
    assert [row[:3] for row in rows] == [("MongooseIM", "6.7.0", 1)]


def test_shares_are_of_all_installations(folder: Path) -> None:
    rows = answers(folder, "backends")["backends"]
    assert {row[1]: row[3] for row in rows if row[0] == "mod_mam"} == {
        "rdbms": 66.7,
        "cassandra": 33.3,
        "(module not used)": 33.3,
    }


@pytest.mark.parametrize("name", questions())
def test_every_statement_is_one_of_bigquery(name: str) -> None:
    *functions, query = sqlglot.parse(statement(questions()[name]), read="bigquery")

    assert [type(function).__name__ for function in functions] == ["Create"] * 3
    assert {parameter.name for parameter in query.find_all(sqlglot.exp.Parameter)} <= {"first", "last", "k"}
    assert "k" in {parameter.name for parameter in query.find_all(sqlglot.exp.Parameter)}


def test_every_question_is_documented_and_no_other() -> None:
    section = (DOCS / "fleet.md").read_text().split("\n## The questions\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(questions())
