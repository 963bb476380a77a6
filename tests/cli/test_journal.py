"""Log lines carry their severity where stderr is systemd's journal, and nowhere else."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from bridge.log import JournalFormatter, TextFormatter
from tests.support.forked import Forked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.bridge import Bridge


@pytest.mark.parametrize(("form", "is_the_journal"), [("text", True), ("json", True), ("text", False)])
def test_only_the_journal_gets_priorities(bridge: Bridge, tmp_path: Path, form: str, *, is_the_journal: bool) -> None:
    bridge.service = "periodic_report = 20"  # which is doubtful, and says so
    bridge.configure()
    stderr = tmp_path / "stderr"
    stderr.touch()
    status = (stderr if is_the_journal else tmp_path).stat()
    environ = bridge.process_environ(JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
    command = bridge.command("report", "--log-format", form)[1:]
    assert Forked(command, environ, tmp_path / "stdout", stderr).wait(30) == 0
    lines = stderr.read_text().splitlines()
    kinds = {re.sub(r"[^<>\d].*", "", line): re.findall(r"level\W+(\w+)", line)[0] for line in lines}
    assert kinds == ({"<4>": "warning", "<6>": "info"} if is_the_journal else {"": kinds.get("")})
    assert {"setting_doubtful", "notice"} <= {re.findall(r"what\W+(\w+)", line)[0] for line in lines}


def test_every_line_of_a_traceback_has_its_severity() -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "it broke", (), (type(error), error, error.__traceback__))
    lines = JournalFormatter(TextFormatter()).format(record).splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)
