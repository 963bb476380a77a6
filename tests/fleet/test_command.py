"""`fleet` as people run it: the installed command over files, and over a server that speaks BigQuery's protocol."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from jsonschema import Draft202012Validator

from bridge.cli.main import cli
from bridge.cli.schema import documents
from bridge.document import json_schema
from bridge.fleet import bigquery
from bridge.fleet.questions import FleetError, questions
from tests.fleet.fake_bigquery import FakeBigQuery
from tests.fleet.support import on, report, write_lines
from tests.support.bridge import Result
from tests.support.forked import run_forked

DAY = date(2026, 11, 1)
SECONDS = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight installations, each with mod_mam on rdbms."""
    events = [
        event
        for number in range(8)
        for event in report(
            f"secret-client-{number}",
            on(DAY),
            ("host_count", {"value": 1}),
            ("cluster", {"version": "6.8.0", "component": 0, "node_number": 1, "uptime": "1"}),
            ("module_with_opt", {"module": "mod_mam", "backend": "rdbms"}),
        )
    ]
    return write_lines(tmp_path_factory.mktemp("fleet") / "export", events)


def run(*arguments: object) -> Result:
    return Result(*run_forked(["fleet", *map(str, arguments)], {}, SECONDS))


def test_without_a_question_they_are_listed() -> None:
    listed = run()

    assert listed.code == 0
    assert all(one.name in listed.out and one.answers in listed.out for one in questions().values())


def test_each_form_has_the_same_answer(folder: Path) -> None:
    table, as_json, as_csv, page = (run("backends", "--from", folder, "--format", form).out for form in FORMS)

    assert ["mod_mam", "rdbms", "8", "100.0"] in [line.split() for line in table.splitlines()]
    document = json.loads(as_json)
    Draft202012Validator(json_schema(dict(documents(cli))["fleet"])).validate(document)
    assert document == {
        "schema_version": 1,
        "first": "2026-11-01",
        "last": "2026-11-01",
        "k": 5,
        "unreadable": 0,
        "answers": {"backends": [{"module": "mod_mam", "backend": "rdbms", "installations": 8, "percent": 100.0}]},
    }
    assert list(csv.reader(io.StringIO(as_csv))) == [
        ["question", "module", "backend", "installations", "percent"],
        ["backends", "mod_mam", "rdbms", "8", "100.0"],
    ]
    assert '<th scope="row">rdbms</th>' in page
    assert not re.search(r"src=|href=|url\(|@import", page)
    assert not any("secret-client" in text for text in (table, as_json, as_csv, page))


FORMS = ("table", "json", "csv", "html")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backend", "--from", "{folder}"], "did you mean backends?"),
        (["backends"], "--from is missing"),
        (["backends", "--from", "{folder}", "--k", "0"], "0 is not in the range x>=1"),
        (["backends", "--from", "{folder}", "--first", "yesterday"], "'yesterday' does not match the format"),
        (["backends", "--from", "{folder}", "--first", "2026-12-01"], "there is no event from 2026-12-01"),
        (["backends", "--from", "{folder}/nowhere"], "is not a folder"),
        (["backends", "--from", "bigquery://project"], "names no dataset"),
        (["sql", "backends", "--dry-run"], "--dry-run asks BigQuery"),
    ],
)
def test_wrong_input_is_one_line(folder: Path, arguments: list[str], words: str) -> None:
    result = run(*(argument.format(folder=folder) for argument in arguments))

    assert result.code == 2
    assert words in result.err.splitlines()[-1]
    assert "Traceback" not in result.err
    assert not result.out


@pytest.mark.parametrize("dialect", ["bigquery", "duckdb"])
def test_the_statement_can_be_printed(dialect: str) -> None:
    printed = run("sql", "backends", "--dialect", dialect)

    assert printed.code == 0
    assert {"bigquery": "CREATE TEMP FUNCTION", "duckdb": "CREATE TEMP MACRO"}[dialect] in printed.out
    assert {"bigquery": "@first", "duckdb": "$first"}[dialect] in printed.out


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeBigQuery]]:
    """Makes servers in BigQuery's place, which Google's client takes for it."""
    monkeypatch.setattr("google.auth.default", lambda **_: (AnonymousCredentials(), "project"))
    with ExitStack() as servers:

        def start(*rows: tuple[object, ...], **options: int) -> FakeBigQuery:
            server = servers.enter_context(FakeBigQuery(rows, **options))
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.url)
            return server

        yield start


def test_bigquery_gets_the_statement_and_its_parameters(answering: Callable[..., FakeBigQuery]) -> None:
    server, question = answering(("mod_mam", "rdbms", 8, 100.0), processed=12_345), questions()["backends"]

    answers = bigquery.ask("project.analytics_1", [question], 7, DAY, DAY)
    row = {"module": "mod_mam", "backend": "rdbms", "installations": 8, "percent": 100.0}
    assert answers.answers == {"backends": (row,)}
    assert bigquery.ask("project.analytics_1", [question], 7, DAY, DAY, dry_run=True).answers == {
        "backends": ({"bytes": 12_345},)
    }

    asked, dry = (job["configuration"] for job in server.jobs)
    assert "`project.analytics_1.events_*`" in asked["query"]["query"]
    assert dry["dryRun"] is True
    values = {one["name"]: one["parameterValue"]["value"] for one in asked["query"]["queryParameters"]}
    assert values == {"first": "2026-11-01", "last": "2026-11-01", "k": "7"}


def test_what_bigquery_refuses_is_one_line(answering: Callable[..., FakeBigQuery]) -> None:
    answering(refuse=403)

    with pytest.raises(FleetError, match="BigQuery does not answer: 403") as caught:
        bigquery.ask("project.analytics_1", questions().values(), 5, None, None)
    assert "BigQuery Job User" in caught.value.remedy
