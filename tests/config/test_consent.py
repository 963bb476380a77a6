"""Who has the last word on reporting, and that the word is shown with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.consent import ReportingOff, consent, require
from bridge.config.load import load

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "[services.service_mongoose_system_metrics]\n"


@pytest.mark.parametrize(
    ("text", "environ", "given", "reason"),
    [
        ("", {}, True, "report is not set"),
        (f"{SERVICE}report = true", {}, True, "report = true (FILE:2)"),
        (f"{SERVICE}report = false", {}, False, "report = false (FILE:2)"),
        (f"{SERVICE}report = false\n[bridge]\nreport = true", {}, True, "bridge.report = true (FILE:4)"),
        (f"{SERVICE}report = true\n[bridge]\nreport = false", {}, False, "bridge.report = false (FILE:4)"),
        ("", {"MONGOOSEIM_BRIDGE_REPORT": "FALSE\n"}, False, "(environment MONGOOSEIM_BRIDGE_REPORT)"),
        (f"{SERVICE}report = true", {"MONGOOSEIM_BRIDGE_REPORT": "0"}, False, "(environment MONGOOSEIM_BRIDGE_REPORT)"),
        ("", {"MONGOOSEIM_BRIDGE_REPORT": ""}, True, "report is not set"),
        ("[bridge]\nreport = true", {"DO_NOT_TRACK": "1"}, False, "DO_NOT_TRACK is set"),
        ("", {"DO_NOT_TRACK": "false"}, True, "report is not set"),
    ],
)
def test_the_strongest_word_counts_and_is_named(
    tmp_path: Path, text: str, environ: dict[str, str], reason: str, *, given: bool
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    found = consent(load(path, environ, {}), environ)
    assert found.given is given
    assert reason in found.reason.replace(str(path), "FILE")
    assert found.notice is (reason == "report is not set")


def test_a_refusal_in_the_section_that_mongooseim_reads_too_says_how_the_bridge_alone_reports(tmp_path: Path) -> None:
    path = tmp_path / "mongooseim.toml"
    path.write_text(f"[general]\nloglevel = 'warning'\n{SERVICE}report = false")
    with pytest.raises(ReportingOff, match=r"bridge\.report = true"):
        require(consent(load(path, {}, {}), {}))
