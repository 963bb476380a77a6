"""The container file, compose.yaml and the Kustomize base, as far as they can be looked at without a container."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import check_jsonschema
import pytest
import yaml
from click.testing import CliRunner

from bridge.cli.main import COMMANDS
from bridge.config.load import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_hadolint_has_nothing_against_the_container_file() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("there is no hadolint for this kind of machine")
    done = run(hadolint, "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_in_particular_and_needs_no_shell() -> None:
    final = DOCKERFILE.split("\nFROM ")[-1]
    lines = dict(
        line.split(" ", 1) for line in final.splitlines() if re.match(r"(USER|ENTRYPOINT|CMD|HEALTHCHECK)", line)
    )
    assert lines["USER"] == "65532:65532"
    assert all(lines[name].startswith("[") for name in ("ENTRYPOINT", "CMD"))
    assert " CMD [" in lines["HEALTHCHECK"]
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"^RUN .*pip install (?!.*(--require-hashes|--no-deps))", DOCKERFILE, re.MULTILINE)


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    }
    assert all((ROOT / name).exists() for name in copied)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == {name.partition("/")[0] for name in copied}


def test_the_image_and_the_manifests_mean_the_same(tmp_path: Path) -> None:
    """What the image sets beats the configuration, so it must not set what a manifest does."""
    image = dict(re.findall(r"^(?:ENV|   ) (MONGOOSEIM_BRIDGE_\w+|LOGS_DIRECTORY)=(\S+)", DOCKERFILE, re.MULTILINE))
    assert image.keys() == {"MONGOOSEIM_BRIDGE_HEALTH_PORT", "LOGS_DIRECTORY"}
    for manifest in ("kubernetes.yaml", "kubernetes-two-roles.yaml"):
        parts = list(yaml.safe_load_all((DEPLOY / manifest).read_text()))
        (text,) = [part["data"]["config.toml"] for part in parts if part["kind"] == "ConfigMap"]
        file = tmp_path / manifest
        file.write_text(text)
        plain, inside = load(file, {}, {}).settings, load(file, image, {}).settings
        assert plain == inside
        pods = [part["spec"]["template"]["spec"] for part in parts if part["kind"] == "Deployment"]
        assert {container["args"][0] for pod in pods for container in pod["containers"]} <= COMMANDS.keys()
    assert f"127.0.0.1:{image['MONGOOSEIM_BRIDGE_HEALTH_PORT']}/healthz" in DOCKERFILE


def test_compose_starts_a_bridge_that_reports_to_its_own_ga4() -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    bridge, ga4 = compose["services"]["bridge"], compose["services"]["ga4"]
    loaded = load(DEPLOY / "compose.toml", {"MONGOOSEIM_BRIDGE_HEALTH_PORT": "9180"}, {}).settings.bridge
    (to,) = loaded.destinations
    assert to.endpoint == f"http://ga4:{ga4['command'][-1]}/mp/collect"
    assert to.api_secret_env in bridge["environment"]
    assert loaded.nodes == ("mongooseim@mongooseim",)
    assert loaded.name == f"mongooseim_bridge@{bridge['hostname']}"
    assert "./docs/deploy/compose.toml:/etc/mongooseim-bridge/config.toml:ro" in bridge["volumes"]
    for service in (bridge, ga4):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_kustomize_makes_the_manifests_of_the_base() -> None:
    if not shutil.which("kubectl"):
        base = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
        assert base["resources"] == ["kubernetes.yaml"]
        pytest.skip("no kubectl here to make them with")
    done = run("kubectl", "kustomize", DEPLOY)
    assert done.returncode == 0, done.stderr
    made, plain = (
        sorted(yaml.safe_load_all(text), key=lambda part: str(part["kind"]))
        for text in (done.stdout, (DEPLOY / "kubernetes.yaml").read_text())
    )
    assert made == plain


SCHEMAS = {
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/workflows/release.yml": "vendor.github-workflows",
    ".github/dependabot.yml": "vendor.dependabot",
    ".github/ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
    ".github/ISSUE_TEMPLATE/fault.yml": "vendor.github-issue-forms",
    ".github/ISSUE_TEMPLATE/wish.yml": "vendor.github-issue-forms",
    "compose.yaml": "vendor.compose-spec",
}


def test_every_file_for_a_service_is_of_the_form_that_the_service_publishes() -> None:
    named = {str(path.relative_to(ROOT)) for path in (ROOT / ".github").rglob("*.yml")}
    assert named == {name for name in SCHEMAS if name.startswith(".github")}
    for schema in sorted(set(SCHEMAS.values())):
        files = [str(ROOT / name) for name, wanted in SCHEMAS.items() if wanted == schema]
        done = CliRunner().invoke(check_jsonschema.main, ["--builtin-schema", schema, *files])
        assert done.exit_code == 0, done.output


def test_the_workflows_run_targets_and_releases_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "".join(path.read_text() for path in (ROOT / ".github" / "workflows").iterdir())
    used = {word for line in re.findall(r"make ((?:[a-z-]+ ?)+)", text) for word in line.split()}
    assert used <= targets
    tests = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["strategy"][
        "matrix"
    ]
    assert tests["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert sorted({*tests["otp"], *(one["otp"] for one in tests["include"])}) == ["25", "26", "27", "28"]
