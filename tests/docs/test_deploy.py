"""What `docs/deploy` offers can be used as it is: systemd's own checks, and manifests that fit the bridge."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from bridge.config.access import access
from bridge.config.cookie import COOKIE_FORBIDDEN
from bridge.config.destinations import destinations
from bridge.config.load import Loaded, load
from bridge.errors import ExitCode

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
UNIT = DEPLOY / "mongooseim-bridge.service"
COLLECT, DELIVER = DEPLOY / "mongooseim-bridge-collect.service", DEPLOY / "mongooseim-bridge-deliver.service"
PROGRAM = Path(sys.executable).with_name("mongooseim-bridge")
MOST_EXPOSED = 15
"""Of 100, by `systemd-analyze security`."""


def settings_of(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here (Debian: apt-get install systemd)")
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("path", [UNIT, COLLECT, DELIVER], ids=lambda path: path.stem)
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, path: Path) -> None:
    text = path.read_text()
    (start,) = settings_of(text)["ExecStart"]
    program = start.split()[0]
    assert program.endswith("/bin/mongooseim-bridge")
    unit = tmp_path / path.name
    unit.write_text(text.replace(program, str(PROGRAM)))
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_mistake_in_the_unit_would_be_found(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("ProtectSystem=strict", "ProtectSystem=very"))
    assert "protect system" in analyze("verify", "--man=no", unit).stderr


def test_the_unit_exposes_little() -> None:
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", UNIT)
    assert done.returncode == 0, done.stdout
    (level,) = re.findall(r"Overall exposure level for .*: ([\d.]+) ", done.stdout)
    assert f"says {level}, OK" in (DEPLOY / "systemd.md").read_text()


def test_the_unit_and_the_bridge_mean_the_same(tmp_path: Path) -> None:
    settings = settings_of(UNIT.read_text())
    assert settings["RestartPreventExitStatus"] == [f"{ExitCode.USAGE} {ExitCode.SWITCHED_OFF}"]
    variables = dict(each.split("=", 1) for each in settings["Environment"])
    credentials = {each.partition(":")[0] for each in settings["LoadCredential"]}
    assert {value.removeprefix("%d/") for value in variables.values()} == credentials
    secret = tmp_path / "secret"
    secret.write_text("hush")
    secret.chmod(0o400)
    environ = {name: str(secret) for name in variables}
    environ |= {"STATE_DIRECTORY": "/var/lib/x", "LOGS_DIRECTORY": "/var/log/x", "HOME": str(tmp_path)}
    file = tmp_path / "config.toml"
    (text, *_) = re.findall(r"```toml\n(.*?)```", (DEPLOY / "systemd.md").read_text(), re.DOTALL)
    file.write_text(text.replace("G-XXXX", "G-ABCD"))
    loaded = load(file, environ, {})
    assert loaded.settings.bridge.state_dir == "/var/lib/x"
    assert loaded.settings.bridge.log_dir == f"/var/log/{settings['LogsDirectory'][0]}"
    assert loaded.settings.bridge.health.port
    assert access(loaded, environ).cookie.origin == str(secret)
    (one,) = destinations(loaded, environ)
    assert one.secret.reveal() == "hush"


def test_the_units_of_two_users_differ_in_who_they_are_and_what_they_know() -> None:
    whole, collect, deliver = (settings_of(path.read_text()) for path in (UNIT, COLLECT, DELIVER))
    own = {"Description", "ExecStart", "LoadCredential", "Environment", "User"}
    shared = {"Group", "ReadWritePaths"}
    directories = {"StateDirectory", "StateDirectoryMode", "LogsDirectory", "LogsDirectoryMode"}
    for unit in (collect, deliver):
        assert {name: unit.get(name) for name in whole.keys() - own - directories} == {
            name: value for name, value in whole.items() if name not in own | directories
        }
    assert all(collect[name] == deliver[name] for name in shared)
    assert collect.keys() - deliver.keys() == {"LogsDirectory", "LogsDirectoryMode"}
    assert all(collect[name] != deliver[name] for name in own)
    assert sorted([*collect["LoadCredential"], *deliver["LoadCredential"]]) == sorted(whole["LoadCredential"])
    assert sorted([*collect["Environment"], *deliver["Environment"]]) == sorted(whole["Environment"])
    text = (DEPLOY / "two-roles.md").read_text()
    assert f"install -d -m 2770 -o root -g {collect['Group'][0]} {collect['ReadWritePaths'][0]}" in text
    assert all(f"{unit['User'][0]}\n" in text for unit in (collect, deliver))


# Kubernetes


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """By kind; every kind occurs once."""
    found = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    by_kind = {each["kind"]: each for each in found}
    assert len(by_kind) == len(found)
    return by_kind


@pytest.fixture
def loaded(manifests: dict[str, Any], tmp_path: Path) -> Loaded:
    file = tmp_path / "config.toml"
    file.write_text(manifests["ConfigMap"]["data"]["config.toml"].replace("G-XXXX", "G-ABCD"))
    return load(file, {}, {})


def pod_of(manifests: dict[str, Any]) -> Any:
    return manifests["Deployment"]["spec"]["template"]["spec"]


def mount_of(path: str, manifests: dict[str, Any]) -> dict[str, Any]:
    """The innermost mount that a path of the container lies in."""
    (container,) = pod_of(manifests)["containers"]
    mounts = [each for each in container["volumeMounts"] if PurePosixPath(path).is_relative_to(each["mountPath"])]
    assert mounts, f"{path} lies in no volume"
    found: dict[str, Any] = max(mounts, key=lambda each: len(each["mountPath"]))
    return found


def test_the_configuration_of_the_manifests_is_one_that_the_bridge_takes(loaded: Loaded, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    secret.chmod(0o440)
    environ = {
        "MONGOOSEIM_BRIDGE_COOKIE_FILE": str(secret),
        "MONGOOSEIM_BRIDGE_TRACKING_ID_SECRET_FILE": str(secret),
    }
    again = load(loaded.file, environ, {})
    reach = access(again, environ)
    assert [(entry.long, entry.port) for entry in reach.entries] == [(True, 9100)] * 2
    assert str(reach.own_name) == "mongooseim_bridge@mongooseim-bridge.default.svc.cluster.local"
    assert [one.measurement_id for one in destinations(again, environ)] == ["G-ABCD"]


def test_every_path_lies_in_the_right_volume(loaded: Loaded, manifests: dict[str, Any]) -> None:
    bridge, service = loaded.settings.bridge, loaded.settings.service
    volumes = {volume["name"]: volume for volume in pod_of(manifests)["volumes"]}
    for path in (bridge.state_dir, bridge.log_dir):
        mount = mount_of(path, manifests)
        assert not mount.get("readOnly")
        claim = volumes[mount["name"]]["persistentVolumeClaim"]["claimName"]
        assert claim == manifests["PersistentVolumeClaim"]["metadata"]["name"]
    for path in (bridge.cookie_file, service.tracking_id.secret_file):
        mount = mount_of(str(path), manifests)
        secret = volumes[mount["name"]]["secret"]
        assert secret["secretName"] == manifests["Secret"]["metadata"]["name"]
        assert Path(str(path)).name in manifests["Secret"]["stringData"]
        assert secret["defaultMode"] == 0o440
        assert secret["defaultMode"] & COOKIE_FORBIDDEN == 0
    (container,) = pod_of(manifests)["containers"]
    (variable,) = container["env"]
    config = mount_of(variable["value"], manifests)
    assert Path(variable["value"]).name in manifests["ConfigMap"]["data"]
    assert volumes[config["name"]]["configMap"]["name"] == manifests["ConfigMap"]["metadata"]["name"]
    assert {each["name"] for each in container["volumeMounts"]} == volumes.keys()


def test_probes_ask_the_health_listener(loaded: Loaded, manifests: dict[str, Any]) -> None:
    health = loaded.settings.bridge.health
    (container,) = pod_of(manifests)["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == health.port
    assert health.host == "0.0.0.0"
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    deployment = manifests["Deployment"]["spec"]
    assert deployment["progressDeadlineSeconds"] > loaded.settings.service.initial_report / 1000
    assert deployment["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(health.port)
    (ingress,) = manifests["NetworkPolicy"]["spec"]["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": health.port}]


def test_there_is_never_more_than_one_bridge_and_it_may_do_little(manifests: dict[str, Any]) -> None:
    spec, pod = manifests["Deployment"]["spec"], pod_of(manifests)
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert manifests["NetworkPolicy"]["spec"]["podSelector"] == spec["selector"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    assert not pod["automountServiceAccountToken"]
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "command" not in container
    assert container["args"] == ["run"]


def test_the_policy_lets_the_bridge_reach_what_it_needs(loaded: Loaded, manifests: dict[str, Any]) -> None:
    egress = manifests["NetworkPolicy"]["spec"]["egress"]
    allowed = {port["port"] for rule in egress for port in rule["ports"]}
    assert allowed == {53, 443, 9100}
    assert all(node.endswith(":9100") for node in loaded.settings.bridge.nodes)


def of_role(role: str) -> tuple[Any, Any]:
    """Deployment and NetworkPolicy of one of the two pods."""
    found = yaml.safe_load_all((DEPLOY / "kubernetes-two-roles.yaml").read_text())
    own = {each["kind"]: each for each in found if each["metadata"]["name"] == f"mongooseim-bridge-{role}"}
    return own["Deployment"]["spec"], own["NetworkPolicy"]["spec"]


def test_the_two_pods_share_a_volume_and_a_group_and_no_secret(manifests: dict[str, Any], tmp_path: Path) -> None:
    roles = {role: of_role(role) for role in ("collect", "deliver")}
    pods = {role: deployment["template"]["spec"] for role, (deployment, _) in roles.items()}
    volumes = {role: {each["name"]: each for each in pod["volumes"]} for role, pod in pods.items()}
    assert volumes["collect"]["state"] == volumes["deliver"]["state"]
    assert volumes["collect"]["secret"]["secret"]["secretName"] != volumes["deliver"]["secret"]["secret"]["secretName"]
    contexts = {role: pod["securityContext"] for role, pod in pods.items()}
    assert contexts["collect"]["runAsUser"] != contexts["deliver"]["runAsUser"]
    assert contexts["collect"]["fsGroup"] == contexts["deliver"]["fsGroup"]
    (together,) = pods["deliver"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert together["labelSelector"] == roles["collect"][0]["selector"]
    (whole,) = pod_of(manifests)["containers"]
    for role, (deployment, policy) in roles.items():
        (container,) = pods[role]["containers"]
        assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
        assert deployment["selector"] == policy["podSelector"]
        assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
        assert {key: container[key] for key in ("securityContext", "env", "image")} == {
            key: whole[key] for key in ("securityContext", "env", "image")
        }
        assert {each["name"] for each in container["volumeMounts"]} == volumes[role].keys()
    (file,) = [
        each["data"]["config.toml"]
        for each in yaml.safe_load_all((DEPLOY / "kubernetes-two-roles.yaml").read_text())
        if each["kind"] == "ConfigMap"
    ]
    config = tmp_path / "config.toml"
    config.write_text(file.replace("G-XXXX", "G-ABCD"))
    bridge, service = (settings := load(config, {}, {}).settings).bridge, settings.service
    places = {
        role: {each["name"]: each["mountPath"] for each in pods[role]["containers"][0]["volumeMounts"]}
        for role in roles
    }
    assert places["collect"]["state"] == places["deliver"]["state"] == bridge.state_dir
    assert places["collect"]["log"] == bridge.log_dir
    assert Path(str(bridge.cookie_file)).parent == Path(places["collect"]["secret"])
    assert Path(str(service.tracking_id.secret_file)).parent == Path(places["deliver"]["secret"])
    ports = {
        role: {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        for role, (_, policy) in roles.items()
    }
    assert ports == {"collect": {53, 9100}, "deliver": {53, 443}}
