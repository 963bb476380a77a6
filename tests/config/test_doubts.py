"""What can be used but is hardly meant is a doubt, which every command logs and `doctor` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.app import Installation
from bridge.config.keys import keys

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "[services.service_mongoose_system_metrics]\n"
DESTINATION = '[[bridge.destinations]]\nmeasurement_id = "G-AAAA"\n'
INLINE = f'{DESTINATION}api_secret = "hush"'


def doubts(tmp_path: Path, text: str, environ: dict[str, str] | None = None, mode: int = 0o644) -> list[str]:
    """The doubts of a configuration, in a file of this mode."""
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    path.chmod(mode)
    return [str(doubt) for doubt in Installation(path, {}, environ or {}).doubts]


@pytest.mark.parametrize("period", ["20", "59_999"])
def test_a_period_that_was_meant_in_seconds(tmp_path: Path, period: str) -> None:
    (doubt,) = doubts(tmp_path, f"{SERVICE}periodic_report = {period}\ninitial_report = 0\n")
    assert "bridge.toml:2" in doubt
    assert "millisecond" in doubt


@pytest.mark.parametrize(
    "text",
    [
        f'{SERVICE}tracking_id.id = "G-AAAA"\ntracking_id.secret_file = "SECRET"',
        f'{DESTINATION}api_secret_file = "SECRET"',
        '[bridge.google]\ncredentials_file = "SECRET"',
        "[bridge.google]",
    ],
)
def test_a_file_with_a_secret_that_others_can_read(tmp_path: Path, text: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    text, environ = text.replace("SECRET", str(secret)), {"GOOGLE_APPLICATION_CREDENTIALS": str(secret)}
    secret.chmod(0o644)
    (doubt,) = doubts(tmp_path, text, environ)
    assert f"chmod 0400 {secret}" in doubt
    assert "hush" not in doubt
    secret.chmod(0o440)
    assert doubts(tmp_path, text, environ) == []


@pytest.mark.parametrize(("mode", "doubtful"), [(0o644, True), (0o600, False), (0o640, False)])
@pytest.mark.parametrize("text", [INLINE, f'{SERVICE}tracking_id.id = "G-AAAA"\ntracking_id.secret = "hush"\n'])
def test_a_configuration_file_that_holds_a_secret_itself(
    tmp_path: Path, text: str, mode: int, *, doubtful: bool
) -> None:
    found = doubts(tmp_path, text, mode=mode)
    assert bool(found) is doubtful
    assert all("chmod 0400" in doubt and "hush" not in doubt for doubt in found)


@pytest.mark.parametrize(
    "text",
    ["", f"{SERVICE}periodic_report = 60_000", f'{DESTINATION}api_secret_env = "GA4"', '[bridge]\nproxy = "http://p"'],
)
def test_what_others_may_know(tmp_path: Path, text: str) -> None:
    environ = {"GA4": "hush", "MONGOOSEIM_BRIDGE_TRACKING_ID_SECRET": "hush"}
    assert doubts(tmp_path, text, {**environ, "GOOGLE_APPLICATION_CREDENTIALS": "/dev/null"}) == []


def test_a_key_that_holds_a_secret_for_a_destination_says_so_in_its_name() -> None:
    holding = {key.field for key in keys() if "Secret" in str(key.kind)}
    assert {field for field in holding if "secret" not in field} == {"cookie", "proxy"}


def test_they_are_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(INLINE)
    path.chmod(0o644)
    Installation(path, {}, {}).set_up_log()
    assert "what=setting_doubtful" in capsys.readouterr().err
