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
        "bridge.cli.emulator",
        "bridge.doctor.examine",
        "bridge.emulator.server",
        "httpx",
    ]
)


class Forked:
    """A running `mongooseim-bridge ARGUMENTS…`; what it prints is in the files `out` and `err` of a directory."""

    def __init__(self, directory: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        self.out, self.err = directory / "out", directory / "err"
        self._arguments = tuple(arguments)
        work = (self._arguments, dict(environ), str(Path.cwd()), str(self.out), str(self.err))
        self._process = _FORKS.Process(target=_command, args=work, daemon=True)
        self._process.start()

    def ended(self, seconds: float) -> int:
        """Wait for its end; the exit code.

        Raises:
            TimeoutError: it took longer than so many seconds, and was killed.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"{' '.join(self._arguments)}: still running after {seconds} s: {self.err.read_text()}")
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()


def run_forked(arguments: Sequence[str], environ: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
    """Run `mongooseim-bridge ARGUMENTS…` to its end; its exit code, stdout and stderr.

    Raises:
        TimeoutError: it took longer than so many seconds.
    """
    with tempfile.TemporaryDirectory() as directory:
        command = Forked(Path(directory), arguments, environ)
        return command.ended(seconds), command.out.read_text(), command.err.read_text()


def _command(arguments: Sequence[str], environ: Mapping[str, str], directory: str, out: str, err: str) -> None:
    """What the forked process does: the same as the script that pip installs."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        opened = os.open(path, flags | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    sys.argv = ["mongooseim-bridge", *arguments]
    from bridge.cli.main import main  # noqa: PLC0415 - the worker of pytest need not import it

    main()
