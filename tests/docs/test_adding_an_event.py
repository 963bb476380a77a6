"""docs/adding-an-event.md, done as it says in a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.docs import DOCS

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster

ROOT = DOCS.parent
_NEW = re.compile(r"^The new file `([^`]+)` has:\n\n```\w*\n(.*?)```$", re.MULTILINE | re.DOTALL)
_INSERT = re.compile(
    r"^In `([^`]+)`, after this line:\n\n```\w*\n(.*?)```\n\ncomes:\n\n```\w*\n(.*?)```$", re.MULTILINE | re.DOTALL
)


def run(copy: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_who_does_what_the_page_says_sees_the_event(tmp_path: Path, default_cluster: StubCluster) -> None:
    page = (DOCS / "adding-an-event.md").read_text()
    for name in ("bridge", "tests", "docs", "erlang_stubs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("ebin"))
    for file in ROOT.iterdir():
        if file.is_file() and file.name != ".git":
            shutil.copy(file, tmp_path)
    ((name, text),) = _NEW.findall(page)
    (tmp_path / name).write_text(text)
    steps = _INSERT.findall(page)
    assert len(steps) == page.count("after this line:") == 9
    for name, line, more in steps:
        before = (tmp_path / name).read_text()
        assert before.count(f"\n{line}") == 1, f"{name} has that line once: {line}"
        (tmp_path / name).write_text(before.replace(f"\n{line}", f"\n{line}{more}"))

    pages = run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_docs.py", "tests/report")
    assert pages.returncode == 0, pages.stdout
    style = run(tmp_path, "ruff", "check", "--no-cache", "bridge", "tests/test_docs.py")
    assert style.returncode == 0, style.stdout
    shown = run(tmp_path, "bridge", "preview", "--format", "json", **default_cluster.environ)
    assert shown.returncode == 0, shown.stderr
    (event,) = [each for each in json.loads(shown.stdout)["events"] if each["name"] == "process_count"]
    assert event["params"]["value"] > 10
