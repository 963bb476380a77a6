"""The configuration is read strictly, all problems are told at once, and every value knows where it came from."""

from pathlib import Path

import pytest

from bridge.config.errors import ConfigError
from bridge.config.load import Loaded, env_name, load
from bridge.secret import Secret

POLICY_EXAMPLE = """
[services.service_mongoose_system_metrics]
  initial_report = 300_000
  periodic_report = 10_800_000
  report = true
  tracking_id.id = "G-XXXX"
  tracking_id.secret = "Secret"
"""

WHOLE_MONGOOSEIM_FILE = (
    """
[general]
  loglevel = "warning"
  hosts = ["localhost"]

[[listen.c2s]]
  port = 5222

[modules.mod_roster]
"""
    + POLICY_EXAMPLE
)


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None, **options: object) -> Loaded:
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    return load(path, environ or {}, {f"bridge.{name}": value for name, value in options.items()})


def problems(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, environ)
    return [str(problem).replace(str(tmp_path), "") for problem in caught.value.problems]


@pytest.mark.parametrize("text", [POLICY_EXAMPLE, WHOLE_MONGOOSEIM_FILE])
def test_the_example_of_the_privacy_policy_works_unchanged(tmp_path: Path, text: str) -> None:
    service = read(tmp_path, text).settings.service
    assert (service.initial_report, service.periodic_report, service.report) == (300_000, 10_800_000, True)
    assert service.tracking_id.id == "G-XXXX"
    assert service.tracking_id.secret == Secret("Secret")


def test_options_beat_the_environment_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    text = '[bridge]\nnodes = ["file@h"]\nlog_level = "error"\nepmd_port = 1\n'
    environ = {"MONGOOSEIM_BRIDGE_LOG_LEVEL": "warning", "MONGOOSEIM_BRIDGE_NODES": "a@h, b@h"}
    loaded = read(tmp_path, text, environ, log_level="debug")
    assert loaded.settings.bridge.log_level == "debug"
    assert loaded.settings.bridge.nodes == ("a@h", "b@h")
    assert loaded.settings.bridge.epmd_port == 1
    assert loaded.origins["bridge.log_level"] == "option"
    assert loaded.origins["bridge.nodes"] == "environment MONGOOSEIM_BRIDGE_NODES"
    assert loaded.origins["bridge.epmd_port"].endswith("bridge.toml:4")


def test_a_table_can_come_from_the_environment_alone(tmp_path: Path) -> None:
    environ = {"MONGOOSEIM_BRIDGE_TRACKING_ID_ID": "G-ABCD", "MONGOOSEIM_BRIDGE_TRACKING_ID_SECRET": "s"}
    assert read(tmp_path, "", environ).settings.service.tracking_id.id == "G-ABCD"


def test_the_directories_of_systemd_are_taken_but_the_file_is_stronger(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": "/s", "LOGS_DIRECTORY": "/l"}
    bridge = read(tmp_path, '[bridge]\nlog_dir = "/mine"\n', environ).settings.bridge
    assert (bridge.state_dir, bridge.log_dir) == ("/s", "/mine")


def test_all_problems_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """[services.service_mongoose_system_metrics]
periodic_report = "often"
repotr = true

[bridge]
cokie_file = "/x"
nodes = []

[[bridge.destinations]]
measurement_id = "UA-1"
"""
    found = problems(tmp_path, text)
    assert [line.split(": ")[0:2] for line in found] == [
        ["/bridge.toml:3", "services.service_mongoose_system_metrics.repotr"],
        ["/bridge.toml:2", "services.service_mongoose_system_metrics.periodic_report"],
        ["/bridge.toml:6", "bridge.cokie_file"],
        ["/bridge.toml:7", "bridge.nodes"],
        ["/bridge.toml:10", "bridge.destinations[0].measurement_id"],
    ]
    assert "did you mean 'report'" in found[0]
    assert "did you mean 'cookie_file'" in found[2]


def test_a_choice_names_what_may_be_chosen(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, '[bridge]\nlog_level = "loud"\n')
    assert "debug, info, warning, error" in found


def test_a_misspelt_section_is_not_taken_for_one_of_mongooseim(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "[brigde]\nepmd_port = 1\n")
    assert "'bridge'" in found


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "", {"MONGOOSEIM_BRIDGE_EPMD_PORT": "many"})
    assert found.startswith("environment MONGOOSEIM_BRIDGE_EPMD_PORT: bridge.epmd_port: ")


def test_a_cookie_is_not_taken_from_the_file(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, '[bridge]\ncookie = "monster"\n')
    assert "cookie_file" in found
    assert "monster" not in found


@pytest.mark.parametrize("text", ["[bridge\n", "bridge = 1\n", "[bridge]\nnodes = 1\n", "[[bridge]]\n"])
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    assert len(problems(tmp_path, text)) == 1


def test_a_missing_file_and_one_that_is_not_text_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read.*--config"):
        load(tmp_path / "nothing.toml", {}, {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "binary", {}, {})


def test_variables_are_named_after_their_keys() -> None:
    assert env_name("services.service_mongoose_system_metrics.tracking_id.secret") == (
        "MONGOOSEIM_BRIDGE_TRACKING_ID_SECRET"
    )
    assert env_name("bridge.tls.cacertfile") == "MONGOOSEIM_BRIDGE_TLS_CACERTFILE"
