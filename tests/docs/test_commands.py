"""Every command that README and docs show does what it should, or there is a reason why no test runs it."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.bridge import PROGRAM, Bridge
from tests.support.docs import DOCS
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster

PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]
NOT_RUN = {
    r"make (demo|test)": "demo has a test of its own, and this is part of test",
    r"(/opt/\S+/)?(pip|pipx|python3) .*": "installing has tests of its own, in packaging",
    r"pip install .*": "the same",
    r"(useradd|groupadd|install|ln|systemctl|journalctl) .*": "changes the machine, or asks its systemd",
    r"sqlite3 .*": "the state file of an installation; tests/state has back-ups",
    r".*_COMPLETE=.*": "writes where a shell looks; tests/docs/test_pages.py runs each script",
    r".*\| gzip > /usr/.*": "writes to the system; tests/docs/test_pages.py reads the page",
    r"curl .*": "needs what is at that address; tests/emulator and tests/google have both",
    r"mongooseim-bridge fleet .*": "needs an export; tests/fleet has some",
    r"mongooseim-bridge ga4 .*": "needs a property; tests/google has one",
}
SERVES = r"mongooseim-bridge (.* )?(run|ga4-emulator)\b"


def shown() -> Iterator[str]:
    """The commands in the blocks for a shell and, with their program, in sentences; without comments."""
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if command := re.sub(r"(^|\s+)# .*|^\s*#.*", "", line).strip():
                    # The same, with the file named and found by itself, is run once; config init makes it.
                    yield command if "config init" in command else command.removesuffix(" --config bridge.toml")
        yield from re.findall(r"^\$ (.+)$", text, re.MULTILINE)
        yield from (each for each in re.findall(r"`(mongooseim-bridge [^`…]+)`", text) if "COMMAND" not in each)


COMMANDS = sorted(set(shown()))
RUN = [command for command in COMMANDS if not any(re.fullmatch(pattern, command) for pattern in NOT_RUN)]


def test_every_reason_is_for_something() -> None:
    used = {pattern for pattern in NOT_RUN if any(re.fullmatch(pattern, command) for command in COMMANDS)}
    assert used | {r"pip install .*"} == NOT_RUN.keys()
    assert len(RUN) > 10


@pytest.fixture(scope="module")
def installed(default_cluster: StubCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that has made a report."""
    directory = tmp_path_factory.mktemp("shown")
    with running_emulator(directory / "record") as emulator:
        bridge = Bridge(directory / "bridge", default_cluster.environ, (emulator.url,))
        assert bridge.run("report").code == 0
        yield bridge


@pytest.mark.parametrize("command", RUN)
def test_a_command_that_is_shown_works(installed: Bridge, tmp_path: Path, command: str) -> None:
    if "config init" not in command:
        (tmp_path / "bridge.toml").write_text(installed.config.read_text())
    environ = installed.process_environ(MONGOOSEIM_BRIDGE_CONFIG=str(installed.config))
    environ["PATH"] = f"{PROGRAM.parent}:{environ['PATH']}"
    # What a reader pipes it into may not be there, and the port may be taken.
    line = command.partition(" | ")[0].removesuffix("&").replace("--port 8014", "--port 0").replace(" ID", " 1")
    with subprocess.Popen(
        f"exec {line}", shell=True, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        if re.match(SERVES, command):
            said = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
        else:
            said = b""
        try:
            said += process.communicate(timeout=30)[0]
        finally:
            process.kill()
    assert process.returncode == 0, said.decode()
