"""What `--format json` prints is what the JSON Schemas and docs/json.md say, with real nodes and reports."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from bridge.cli.main import cli
from bridge.cli.schema import documents
from bridge.document import SCHEMA_VERSION, json_schema
from bridge.times import rfc3339
from tests.support.bridge import Bridge
from tests.support.docs import DOCS
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from erlang_stubs.cluster import StubCluster

DOCUMENTS = dict(documents(cli))
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
ARGUMENTS = {
    "history diff": ("history", "diff", "1", "1"),
    "history show": ("history", "show", "1"),
    "compare": ("compare", "--all"),
}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory, default_cluster: StubCluster) -> Iterator[Bridge]:
    """With one report that a destination took and another one did not."""
    directory = tmp_path_factory.mktemp("json")
    with running_emulator(directory / "record") as emulator:
        bridge = Bridge(directory / "bridge", default_cluster.environ, (emulator.url, "http://127.0.0.1:1/mp/collect"))
        assert bridge.run("report", MONGOOSEIM_BRIDGE_DELIVER_TIMEOUT="300").code == 1
        yield bridge


@pytest.mark.parametrize("command", sorted(name for name in DOCUMENTS if not name.startswith(("ga4", "fleet"))))
def test_each_commands_json_is_as_its_schema_says(reported: Bridge, command: str) -> None:
    done = reported.run(
        *ARGUMENTS.get(command, command.split()), "--format", "json", MONGOOSEIM_BRIDGE_DELIVER_TIMEOUT="1"
    )
    document = done.json()
    Draft202012Validator(json_schema(DOCUMENTS[command]), format_checker=FormatChecker()).validate(document)
    assert document["schema_version"] == SCHEMA_VERSION
    times = dict(leaves(document))
    for name, value in times.items():
        if re.search(r"(_at|since|oldest|now)$", name) and value is not None:
            assert TIME.fullmatch(value), name


def leaves(value: object, name: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{name}.{key}")]
    if isinstance(value, list):
        return [leaf for number, inner in enumerate(value) for leaf in leaves(inner, f"{name}.{number}")]
    return [(name, value)]


def test_the_command_prints_the_schemas(reported: Bridge) -> None:
    assert reported.run("schema", "status").json() == json_schema(DOCUMENTS["status"])
    assert reported.run("schema").json().keys() == DOCUMENTS.keys()


def test_a_time_is_within_the_calendar_whatever_the_clock_said() -> None:
    assert rfc3339(1_700_000_000_123_456) == "2023-11-14T22:13:20.123456Z"
    assert (rfc3339(-1), rfc3339(10**25)) == ("1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.000000Z")


# docs/json.md


def type_of(schema: dict[str, Any], shapes: dict[str, dict[str, Any]]) -> str:
    """A field's type in the words of the page."""
    if "anyOf" in schema:
        return " or ".join(sorted((type_of(each, shapes) for each in schema["anyOf"]), key=lambda each: each == "null"))
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if "properties" in shapes[name] else type_of(shapes[name], shapes)
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    if schema["type"] == "array":
        return f"list of {type_of(schema['items'], shapes)}"
    if schema["type"] == "object":
        return f"object of {type_of(schema['additionalProperties'], shapes)}"
    return str(schema["type"]) if isinstance(schema["type"], str) else " or ".join(schema["type"])


def test_the_page_has_every_field_with_its_type() -> None:
    shown: dict[str, dict[str, str]] = {}
    for heading, body in re.findall(
        r"^## `?([\w -]+)`?\n(.*?)(?=^## |\Z)", (DOCS / "json.md").read_text(), re.MULTILINE | re.DOTALL
    ):
        shown[heading] = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .{3,} \|$", body, re.MULTILINE))
    printed: dict[str, dict[str, str]] = {}
    for command, document in DOCUMENTS.items():
        shapes: dict[str, dict[str, Any]] = json_schema(document)["$defs"]  # type: ignore[assignment]
        for name, shape in shapes.items():
            if fields := {field: type_of(each, shapes) for field, each in shape.get("properties", {}).items()}:
                fields.pop("schema_version", None)
                printed[command if name == document.__name__ else name] = fields
    assert shown == printed


def commands_with_json(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[str]:
    if any("json" in getattr(each.type, "choices", ()) for each in command.params if each.name == "form"):
        yield " ".join(path)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner
            yield from commands_with_json(inner, (*path, name))


def test_every_command_that_prints_json_has_a_schema() -> None:
    assert set(commands_with_json()) == DOCUMENTS.keys()
