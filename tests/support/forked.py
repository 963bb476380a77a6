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
        "bridge.doctor.examine",
        "httpx",
    ]
)


def run_forked(arguments: Sequence[str], environ: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
    """Run `mongooseim-bridge ARGUMENTS…` to its end; its exit code, stdout and stderr.

    Raises:
        TimeoutError: it took longer than so many seconds.
    """
    with tempfile.TemporaryDirectory() as directory:
        out, err = Path(directory, "out"), Path(directory, "err")
        work = (tuple(arguments), dict(environ), str(Path.cwd()), str(out), str(err))
        process = _FORKS.Process(target=_command, args=work, daemon=True)
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{' '.join(arguments)}: still running after {seconds} s: {err.read_text()}")
        return process.exitcode, out.read_text(), err.read_text()


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
