"""The installed command, run as a person would run it: its own state, log and configuration in a directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.forked import run_forked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

PROGRAM = Path(sys.executable).with_name("mongooseim-bridge")
API_SECRET = "the-api-s3cr3t-of-the-property"
SECONDS = 30


@dataclass(frozen=True)
class Result:
    """What a finished command left."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Bridge:
    """One installation below `directory`, reporting to `endpoints` (measurement ids G-AAAA1, G-AAAA2, …)."""

    directory: Path
    environ: Mapping[str, str]
    endpoints: tuple[str, ...] = ()
    service: str = "report = true"
    settings: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (str(PROGRAM),)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        secret = self.directory / "api-secret"
        secret.write_text(API_SECRET)
        secret.chmod(0o400)
        self.configure()

    def configure(self) -> None:
        """Write the configuration file anew."""
        destinations = "".join(
            f'[[bridge.destinations]]\nmeasurement_id = "G-AAAA{number}"\n'
            f'api_secret_file = "{self.directory}/api-secret"\nendpoint = "{endpoint}"\n'
            for number, endpoint in enumerate(self.endpoints, 1)
        )
        self.config.write_text(
            f"[services.service_mongoose_system_metrics]\n{self.service}\n"
            f'[bridge]\nstate_dir = "{self.state_dir}"\nlog_dir = "{self.log_dir}"\n{self.settings}\n{destinations}'
        )

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def log_dir(self) -> Path:
        return self.directory / "log"

    @property
    def json_log(self) -> list[dict[str, Any]]:
        """`system_metrics_report.json` as it is now."""
        events: list[dict[str, Any]] = json.loads((self.log_dir / "system_metrics_report.json").read_text())
        return events

    def process_environ(self, **more: str) -> dict[str, str]:
        """The environment of the command: nothing of the machine's that could change what it does."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.directory), **self.environ, **self.extra, **more}

    def command(self, *arguments: str) -> list[str]:
        return [*self.program, "--config", str(self.config), *arguments]

    def run(self, *arguments: str, **environ: str) -> Result:
        """Run a command to its end; it must not take longer than half a minute."""
        return Result(*run_forked(self.command(*arguments)[1:], self.process_environ(**environ), SECONDS))

    def start(self, *arguments: str, **environ: str) -> Result:
        """The same with a start of the program."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.process_environ(**environ),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def bridge(tmp_path: Path, default_cluster: StubCluster, emulator: RunningEmulator) -> Bridge:
    """With nothing wrong: it enters the shared cluster and reports to an emulator of its own."""
    return Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,))
