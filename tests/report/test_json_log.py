"""The JSON log has MongooseIM's format and is never half-written."""

import errno
import json
import os
from pathlib import Path

import pytest

from bridge.files import open_own
from bridge.report import json_log
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


@pytest.mark.parametrize("blocked", [errno.EISDIR, errno.EBUSY])
def test_a_log_that_cannot_be_published_leaves_nothing_behind_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: int
) -> None:
    prepared = prepare(tmp_path, EVENTS)
    if blocked == errno.EISDIR:
        (tmp_path / FILE_NAME).mkdir()
    else:  # as where the file itself is a mount point

        def replace(self: Path, target: Path) -> Path:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(target))

        monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(JsonLogError) as caught:
        prepared.publish()
    assert os.strerror(blocked) in caught.value.what
    assert caught.value.remedy.startswith(
        {errno.EISDIR: "remove the directory", errno.EBUSY: "mount the directory"}[blocked]
    )
    assert [path.name for path in tmp_path.iterdir() if path.name != FILE_NAME] == []


def test_what_a_killed_process_left_is_removed_with_the_next_report(tmp_path: Path) -> None:
    prepare(tmp_path, EVENTS)  # and never published
    (tmp_path / "system_metrics_report.json.kept").write_text("")
    (tmp_path / ".hidden").write_text("")
    prepare(tmp_path, EVENTS).publish()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".hidden",
        FILE_NAME,
        "system_metrics_report.json.kept",
    ]


def test_a_link_in_the_place_of_the_log_is_replaced_and_its_target_is_untouched(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("of somebody else")
    target.chmod(0o600)
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / FILE_NAME).symlink_to(target)
    (logs / f".{FILE_NAME}.left").symlink_to(target)
    path = prepare(logs, EVENTS).publish()
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in logs.iterdir()] == [FILE_NAME]
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("of somebody else", 0o600)


def test_a_link_planted_while_the_log_is_written_gives_nobody_elses_file_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory may belong to somebody else: what is changed is what was opened, whatever lies at its name now."""
    target = tmp_path / "target"
    target.write_text("of somebody else")
    target.chmod(0o600)
    logs = tmp_path / "logs"

    def swapped(path: Path, flags: int) -> int:
        descriptor = open_own(path, flags)
        path.unlink()
        path.symlink_to(target)
        return descriptor

    monkeypatch.setattr(json_log, "open_own", swapped)
    prepare(logs, EVENTS)
    assert target.stat().st_mode & 0o777 == 0o600
