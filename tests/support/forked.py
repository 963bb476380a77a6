"""The command as a process of its own, forked from one that has imported it, which saves most of a start.

The process that is forked is started once by each worker of pytest, and ends with it. For what a start itself does
(imports, memory, signals on the way) tests start the installed program.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "bridge.cli.main",
        "bridge.cli.report",
        "bridge.cli.preview",
        "bridge.cli.status",
        "bridge.cli.run",
        "bridge.cli.emulator",
        "bridge.doctor.examine",
        "bridge.emulator.server",
        "bridge.service.sd_notify",
        "bridge.service.service",
        "anyio._backends._asyncio",
        "bridge.delivery.ga4",
        "bridge.delivery.sender",
        "bridge.erlang.node",
        "bridge.state.state",
        "httpx",
    ]
)


class Forked:
    """A command that runs, with what `subprocess.Popen` has of it."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], out: Path, err: Path) -> None:
        """Start `mongooseim-bridge ARGUMENTS…`, which appends to two files, or to one."""
        work = (tuple(arguments), dict(environ), str(Path.cwd()), str(out), str(err))
        self._process = _FORKS.Process(target=_command, args=work, daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, seconds: float | None = None) -> int:
        """The exit code, as soon as there is one.

        Raises:
            TimeoutExpired: it took longer than so many seconds.
        """
        self._process.join(seconds)
        if self.returncode is None:
            raise TimeoutExpired("mongooseim-bridge", seconds or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


def run_forked(arguments: Sequence[str], environ: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
    """Run `mongooseim-bridge ARGUMENTS…` to its end; its exit code, stdout and stderr.

    Raises:
        TimeoutError: it took longer than so many seconds.
    """
    with tempfile.TemporaryDirectory() as directory:
        out, err = Path(directory, "out"), Path(directory, "err")
        process = Forked(arguments, environ, out, err)
        try:
            return process.wait(seconds), out.read_text(), err.read_text()
        except TimeoutExpired:
            process.kill()
            raise TimeoutError(f"{' '.join(arguments)}: still running after {seconds} s: {err.read_text()}") from None


def _command(arguments: Sequence[str], environ: Mapping[str, str], directory: str, out: str, err: str) -> None:
    """What the forked process does: the same as the script that pip installs."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, write), (2, err, write)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    sys.argv = ["mongooseim-bridge", *arguments]
    from bridge.cli.main import main  # noqa: PLC0415 - the worker of pytest need not import it

    main()
