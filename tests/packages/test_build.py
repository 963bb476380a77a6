"""Wheel and sdist are the same bytes each time, and hold what they have to; the locks hold what is depended on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bridge.cli.man import page

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
_LOCKED = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; .*)? \\\n(?P<hashes>(?:    --hash=.*\n)+)", re.MULTILINE
)


def build(tree: Path, out: Path) -> dict[str, bytes]:
    """Wheel and sdist of a tree, by the kind of file."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", out]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.suffix: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out)
    return out


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the sdist, with other times and modes than the checkout's."""
    (sdist,) = built.glob("*.tar.gz")
    where = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(where, filter="data")
    (tree,) = where.iterdir()
    return tree


def test_built_again_from_the_sdist_both_are_the_same_bytes(built: Path, unpacked: Path, tmp_path: Path) -> None:
    again = build(unpacked, tmp_path / "again")
    assert again == {path.suffix: path.read_bytes() for path in built.iterdir()}
    assert again.keys() == {".whl", ".gz"}


def test_the_wheel_has_the_program_its_man_page_and_the_deploy_files_and_no_tests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (man,) = [name for name in names if name.endswith("share/man/man1/mongooseim-bridge.1")]
        assert archive.read(man).decode() == page()
    program = {str(path.relative_to(ROOT)) for path in (ROOT / "bridge").rglob("*") if path.suffix != ".pyc"}
    assert {name for name in program if (ROOT / name).is_file()} == {
        name for name in names if name.startswith("bridge/")
    }
    shared = {PurePosixPath(name).name for name in names if "share/mongooseim-bridge/deploy/" in name}
    assert shared == {path.name for path in (ROOT / "docs" / "deploy").iterdir()}
    assert {PurePosixPath(name).parts[0].partition("-")[0] for name in names} == {"bridge", "mongooseim_bridge"}


def test_the_sdist_has_every_file_of_the_repository(unpacked: Path) -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("this is no checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    missing = [name for name in listed.stdout.splitlines() if (ROOT / name).exists() and not (unpacked / name).exists()]
    assert missing == []


def locked(name: str) -> dict[str, tuple[str, str]]:
    """Version and hashes of every package of a lock."""
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    found = {match["name"]: (match["version"], match["hashes"]) for match in _LOCKED.finditer(text)}
    assert len(found) == len(re.findall(r"^[\w.-]+[ =]", text, re.MULTILINE)), "a package without version or hash"
    return found


def test_locks_hold_what_is_depended_on_with_hashes_and_no_address() -> None:
    wanted = {
        "runtime": [*PROJECT["dependencies"], *EXTRAS["metrics"], *EXTRAS["google"]],
        "development": [*PROJECT["dependencies"], *EXTRAS["metrics"], *EXTRAS["test"]],
        "build": tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"],
    }
    for name, requirements in wanted.items():
        assert "://" not in (ROOT / "locks" / f"{name}.txt").read_text()
        found = locked(name)
        for each in map(Requirement, requirements):
            version, hashes = found.get(canonicalize_name(each.name), ("", ""))
            assert version, f"{each} is not in locks/{name}.txt: run make lock"
            assert version in each.specifier, f"locks/{name}.txt has {version} of {each}: run make lock"
            assert hashes.count("sha256:") >= 1


def test_development_runs_what_is_released() -> None:
    runtime, development = locked("runtime"), locked("development")
    assert {name: development.get(name) for name in runtime} == runtime


def test_the_python_releases_that_are_promised_are_those_that_are_run() -> None:
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert promised == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={promised[0]}"
