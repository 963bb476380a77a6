"""What `docs/deploy` offers can be used as it is: systemd's own checks, and manifests that fit the bridge."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bridge.config.access import access
from bridge.config.cookie import COOKIE_FORBIDDEN
from bridge.config.destinations import destinations
from bridge.config.load import load
from bridge.errors import ExitCode

if TYPE_CHECKING:
    from bridge.config.load import Loaded

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

PODS = {
    "mongooseim-bridge": ("kubernetes.yaml", ["run"], {53, 443, 9100}, {"cookie", "ga4-secret"}),
    "mongooseim-bridge-collect": ("kubernetes-two-roles.yaml", ["run", "--collect-only"], {53, 9100}, {"cookie"}),
    "mongooseim-bridge-deliver": ("kubernetes-two-roles.yaml", ["deliver"], {53, 443}, {"ga4-secret"}),
}
"""Deployments: their file, what they run, the ports that they may reach, and the secrets that they may read."""


@dataclass(frozen=True)
class Pod:
    """One Deployment with what its file has beside it."""

    name: str
    kinds: dict[tuple[str, str], Any]
    loaded: Loaded

    @property
    def deployment(self) -> Any:
        return self.kinds["Deployment", self.name]["spec"]

    @property
    def policy(self) -> Any:
        return self.kinds["NetworkPolicy", self.name]["spec"]

    @property
    def spec(self) -> Any:
        return self.deployment["template"]["spec"]

    @property
    def container(self) -> Any:
        (container,) = self.spec["containers"]
        return container

    def volume_of(self, path: object) -> Any:
        """The volume that a path of the container lies in, by the innermost mount."""
        inside = PurePosixPath(str(path))
        mounts = [each for each in self.container["volumeMounts"] if inside.is_relative_to(each["mountPath"])]
        mount = max(mounts, key=lambda each: len(each["mountPath"]))
        (volume,) = (each for each in self.spec["volumes"] if each["name"] == mount["name"])
        return volume | {"readOnly": mount.get("readOnly", False)}


@pytest.fixture(params=PODS)
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Pod:
    name = str(request.param)
    found = list(yaml.safe_load_all((DEPLOY / PODS[name][0]).read_text()))
    kinds = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert len(kinds) == len(found)
    file = tmp_path / "config.toml"
    file.write_text(kinds["ConfigMap", "mongooseim-bridge"]["data"]["config.toml"].replace("G-XXXX", "G-ABCD"))
    return Pod(name, kinds, load(file, {}, {}))


def test_the_configuration_of_the_manifests_is_one_that_the_bridge_takes(pod: Pod, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    secret.chmod(0o440)
    variables = ("MONGOOSEIM_BRIDGE_COOKIE_FILE", "MONGOOSEIM_BRIDGE_TRACKING_ID_SECRET_FILE")
    environ = dict.fromkeys(variables, str(secret))
    loaded = load(pod.loaded.file, environ, {})
    reach = access(loaded, environ)
    assert [(entry.long, entry.port) for entry in reach.entries] == [(True, 9100)] * 2
    assert str(reach.own_name) == "mongooseim_bridge@mongooseim-bridge.default.svc.cluster.local"
    assert [one.measurement_id for one in destinations(loaded, environ)] == ["G-ABCD"]


def test_every_path_lies_in_the_right_volume_and_no_secret_in_the_pod_of_the_other_role(pod: Pod) -> None:
    bridge, service = pod.loaded.settings.bridge, pod.loaded.settings.service
    state = pod.volume_of(bridge.state_dir)
    claim = pod.kinds["PersistentVolumeClaim", state["persistentVolumeClaim"]["claimName"]]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"], "the state file is shared through memory"
    assert not state["readOnly"]
    if pod.container["args"][0] == "run":
        assert not pod.volume_of(bridge.log_dir)["readOnly"]
    readable = set()
    for path in map(Path, (str(bridge.cookie_file), str(service.tracking_id.secret_file))):
        if secret := pod.volume_of(path).get("secret"):
            assert secret["defaultMode"] == 0o440
            assert secret["defaultMode"] & COOKIE_FORBIDDEN == 0
            assert path.name in pod.kinds["Secret", secret["secretName"]]["stringData"]
            readable |= pod.kinds["Secret", secret["secretName"]]["stringData"].keys()
    assert readable == PODS[pod.name][3]
    (variable,) = pod.container["env"]
    config = pod.volume_of(variable["value"])["configMap"]["name"]
    assert Path(variable["value"]).name in pod.kinds["ConfigMap", config]["data"]
    assert {each["name"] for each in pod.container["volumeMounts"]} == {each["name"] for each in pod.spec["volumes"]}


def test_probes_ask_the_health_listener(pod: Pod) -> None:
    health = pod.loaded.settings.bridge.health
    (port,) = pod.container["ports"]
    assert (health.host, health.port) == ("0.0.0.0", port["containerPort"])
    assert pod.container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    if pod.container["args"][0] == "run":
        assert pod.container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
        assert pod.deployment["progressDeadlineSeconds"] > pod.loaded.settings.service.initial_report / 1000
        assert pod.deployment["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(health.port)
        (ingress,) = pod.policy["ingress"]
        assert ingress["ports"] == [{"protocol": "TCP", "port": health.port}]
    else:
        assert "readinessProbe" not in pod.container
        assert "ingress" not in pod.policy


def test_there_is_never_more_than_one_of_a_pod_and_it_may_do_little(pod: Pod) -> None:
    deployment, context = pod.deployment, pod.spec["securityContext"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    assert pod.policy["podSelector"] == deployment["selector"]
    assert pod.policy["policyTypes"] == ["Ingress", "Egress"]
    assert context["runAsNonRoot"]
    assert context["fsGroup"] == context["runAsGroup"]
    assert not pod.spec["automountServiceAccountToken"]
    assert pod.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "command" not in pod.container
    _, args, reached, _ = PODS[pod.name]
    assert pod.container["args"] == args
    assert {port["port"] for rule in pod.policy["egress"] for port in rule["ports"]} == reached
    assert all(node.endswith(":9100") for node in pod.loaded.settings.bridge.nodes)


def test_the_two_pods_are_two_users_of_one_group_on_one_machine() -> None:
    found = yaml.safe_load_all((DEPLOY / "kubernetes-two-roles.yaml").read_text())
    collect, deliver = (each["spec"]["template"] for each in found if each["kind"] == "Deployment")
    users, groups = (
        {pod["spec"]["securityContext"][key] for pod in (collect, deliver)} for key in ("runAsUser", "fsGroup")
    )
    assert (len(users), len(groups)) == (2, 1)
    (together,) = deliver["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert together["topologyKey"] == "kubernetes.io/hostname"
    assert together["labelSelector"]["matchLabels"] == collect["metadata"]["labels"]
    volumes = [next(each for each in pod["spec"]["volumes"] if each["name"] == "state") for pod in (collect, deliver)]
    assert volumes[0] == volumes[1]
