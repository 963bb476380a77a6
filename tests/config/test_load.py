"""The configuration is read strictly, all problems are told at once, and every value knows where it came from."""

from pathlib import Path

import pytest

from bridge.config.errors import ConfigError
from bridge.config.keys import keys
from bridge.config.load import Loaded, load
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


SERVICE = "services.service_mongoose_system_metrics"


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("[brigde]\nepmd_port = 1", "brigde", "[bridge]"),
        ("[Bridge]\nreport = false", "Bridge", "[bridge]"),
        ("[services.bridge]\nreport = false", "services.bridge", "[bridge]"),
        ("report = false", "report", f"report in [{SERVICE}]"),
        ("[services]\nreport = false", "services.report", f"report in [{SERVICE}]"),
        ("consent = false", "consent", "consent in [bridge]"),
        ("report = {enabled = false}", "report", f"report in [{SERVICE}]"),
        ("[general]\nreporting = false", "general.reporting", f"report in [{SERVICE}]"),
        ("[general]\nReprot = false", "general.Reprot", f"report in [{SERVICE}]"),
        ('[general]\nreport = "false"', "general.report", f"report in [{SERVICE}]"),
        ("[services]\ninitial-report = 1", "services.initial-report", f"initial_report in [{SERVICE}]"),
        ("[service_mongoose_system_metrics]\nreport = false", "service_mongoose_system_metrics", f"[{SERVICE}]"),
        (f"[{SERVICE[:-1]}]\nreport = false", SERVICE[:-1], f"[{SERVICE}]"),
        (f"[{SERVICE.upper()}]\nreport = false", SERVICE.upper(), f"[{SERVICE}]"),
        (f"[{SERVICE.title()}]\nreport = false", SERVICE.title(), f"[{SERVICE}]"),
        ("[modules.service-mongoose-system-metrics]\nreport = false", "modules.service-", f"[{SERVICE}]"),
        ("[services.system_metrics]\nreport = false", "services.system_metrics", f"[{SERVICE}]"),
        ("[[host_config]]\n[host_config.services.x]\nreport = false", "host_config[0]", f"report in [{SERVICE}]"),
    ],
)
def test_what_resembles_our_sections_in_another_place_is_an_error_that_names_the_right_one(
    tmp_path: Path, text: str, key: str, meant: str
) -> None:
    (found,) = problems(tmp_path, text)
    assert f": {key}" in found
    assert f"did you mean {meant}?" in found


@pytest.mark.parametrize(
    "text",
    [
        "[[instrumentation.exometer.report.graphite]]\nhost = 'h'",
        "[[listen.c2s]]\nport = 5222\nreuse_port = true",
        "[outgoing_pools.http.bridge]\nworkers = 1",
        "[acl]\nreport = [{user = 'a'}]",
    ],
)
def test_sections_of_mongooseim_are_not_taken_for_ours(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).origins == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MONGOOSEIM_BRIDGE_REPROT", "MONGOOSEIM_BRIDGE_REPORT"),
        ("MONGOOSEIM_BRIGDE_REPORT", "MONGOOSEIM_BRIDGE_REPORT"),
        ("mongooseim_bridge_report", "MONGOOSEIM_BRIDGE_REPORT"),
        ("MONGOOSEIM_BRIDGE_SERVICES_REPORT", ""),
        ("MONGOOSEIM_BRIDGE_EMPD_PORT", "MONGOOSEIM_BRIDGE_EPMD_PORT"),
        ("MONGOOSEIM_SYSTEM_METRICS_REPORT", "MONGOOSEIM_BRIDGE_REPORT"),
        ("BRIDGE_REPORT", "MONGOOSEIM_BRIDGE_REPORT"),
        ("do_not_track", "DO_NOT_TRACK"),
        ("DO_NOT_TARCK", "DO_NOT_TRACK"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_right_one(tmp_path: Path, name: str, meant: str) -> None:
    (found,) = problems(tmp_path, "", {name: "false"})
    assert found.startswith(f"environment {name}: ")
    assert not meant or f"did you mean {meant}?" in found


def test_variables_of_others_and_of_kubernetes_are_left_alone(tmp_path: Path) -> None:
    environ = {
        "MONGOOSEIM_BRIDGE_SERVICE_HOST": "10.0.0.1",
        "MONGOOSEIM_BRIDGE_SERVICE_PORT_METRICS": "9180",
        "MONGOOSEIM_BRIDGE_PORT": "tcp://10.0.0.1:9180",
        "MONGOOSEIM_BRIDGE_PORT_9180_TCP_ADDR": "10.0.0.1",
        "MONGOOSEIM_BRIDGE_METRICS_SERVICE_HOST": "10.0.0.1",
        "MONGOOSEIM_NODE": "mim@h",
        "TRACKING_ID": "x",
    }
    assert read(tmp_path, "", environ).origins == {}
    text = '[[bridge.destinations]]\nmeasurement_id = "G-AAAA"\napi_secret_env = "MONGOOSEIM_BRIDGE_GA4"'
    assert read(tmp_path, text, {"MONGOOSEIM_BRIDGE_GA4": "hush"}).settings.bridge.destinations


@pytest.mark.parametrize("end", ["\n", "\r\n", " "])
def test_the_end_of_a_mounted_variable_is_not_part_of_it(tmp_path: Path, end: str) -> None:
    environ = {
        "MONGOOSEIM_BRIDGE_TRACKING_ID_SECRET": f"s{end}",
        "MONGOOSEIM_BRIDGE_USER_LOCATION_COUNTRY": f"PL{end}",
        "MONGOOSEIM_BRIDGE_PROXY": f"http://p:1{end}",
        "MONGOOSEIM_BRIDGE_COOKIE": f" monster{end.strip(' ')}",
        "MONGOOSEIM_BRIDGE_LOG_LEVEL": f"INFO{end}",
        "MONGOOSEIM_BRIDGE_EPMD_PORT": end,
        "MONGOOSEIM_BRIDGE_STATE_DIR": "",
    }
    settings = read(tmp_path, "", environ).settings
    bridge = settings.bridge
    assert settings.service.tracking_id.secret == Secret("s")
    assert (bridge.user_location.country, bridge.proxy) == ("PL", Secret("http://p:1"))
    assert (bridge.cookie, bridge.log_level, bridge.epmd_port) == (Secret(" monster"), "info", None)
    assert bridge.state_dir == "/var/lib/mongooseim-bridge"


@pytest.mark.parametrize("value", ["PL\\n", "PL\\u0000", " PL", "PL ", "P\\u001bL", "PL\\u00a0"])
@pytest.mark.parametrize(
    "key", ["user_location.city", "user_location.country", "proxy", "name", "state_dir", "nodes", "health.host"]
)
def test_line_breaks_control_characters_and_outer_blanks_are_refused_in_every_text(
    tmp_path: Path, key: str, value: str
) -> None:
    quoted = f'["{value}"]' if key == "nodes" else f'"{value}"'
    (found,) = problems(tmp_path, f"[bridge]\n{key} = {quoted}")
    assert "cannot be printed" in found or "blank" in found
    (found,) = problems(tmp_path, "", {f"MONGOOSEIM_BRIDGE_{key.upper().replace('.', '_')}": "a\x07b"})
    assert "cannot be printed" in found


def test_a_home_directory_and_the_first_of_several_directories_are_meant_as_shells_and_systemd_mean_them(
    tmp_path: Path,
) -> None:
    environ = {"HOME": "/home/x", "STATE_DIRECTORY": "/a:/b"}
    bridge = read(tmp_path, '[bridge]\nlog_dir = "~/log"\n', environ).settings.bridge
    assert (bridge.log_dir, bridge.state_dir) == ("/home/x/log", "/a")


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


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff[bridge]\nepmd_port = 1\n").origins["bridge.epmd_port"].endswith("bridge.toml:2")


def test_a_missing_file_and_one_that_is_not_text_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: --config: cannot be read"):
        load(tmp_path / "nothing.toml", {}, {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "binary", {}, {})
    with pytest.raises(ConfigError, match="too long"):
        load(tmp_path / ("n" * 300), {}, {})
    with pytest.raises(ConfigError, match="larger"):
        load(Path("/dev/zero"), {}, {})


def test_variables_are_named_after_their_keys() -> None:
    variables = {key.name: key.variable for key in keys()}
    assert variables[f"{SERVICE}.tracking_id.secret"] == "MONGOOSEIM_BRIDGE_TRACKING_ID_SECRET"
    assert variables["bridge.tls.cacertfile"] == "MONGOOSEIM_BRIDGE_TLS_CACERTFILE"
    assert variables["bridge.destinations[].endpoint"] == ""
