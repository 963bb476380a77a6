"""The JSON log has MongooseIM's format and is never half-written."""

import json
from pathlib import Path

import pytest

from bridge.report.json_log import FILE_NAME, JsonLogError, prepare
from bridge.report.model import Event

EVENTS = (Event("host_count", {"value": 3}), Event("http_api", {"mongoose_graphql_handler": "enabled"}))


def test_the_log_is_a_pretty_list_of_names_and_params(tmp_path: Path) -> None:
    path = prepare(tmp_path, EVENTS).publish()
    assert path.name == "system_metrics_report.json"
    assert json.loads(path.read_text()) == [
        {"name": "host_count", "params": {"value": 3}},
        {"name": "http_api", "params": {"mongoose_graphql_handler": "enabled"}},
    ]
    assert len(path.read_text().splitlines()) > 8


def test_the_old_log_stays_until_the_new_one_is_published(tmp_path: Path) -> None:
    prepare(tmp_path, EVENTS).publish()
    before = (tmp_path / FILE_NAME).read_bytes()
    prepared = prepare(tmp_path, EVENTS[:1])
    assert (tmp_path / FILE_NAME).read_bytes() == before
    prepared.discard()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_directory_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(JsonLogError, match=r"system_metrics_report\.json.*bridge\.log_dir"):
        prepare(blocked / "logs", EVENTS)


def test_a_value_that_json_cannot_hold_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        prepare(tmp_path, [Event("host_count", {"value": float("nan")})])
    assert [path.name for path in tmp_path.iterdir()] == []
