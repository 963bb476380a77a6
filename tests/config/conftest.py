"""A real `erl`, to compare with."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class Erl(Protocol):
    """Starts a node without EPMD or listener and tells what it says of itself."""

    def __call__(self, *words: str, home: Path, say: str = ...) -> tuple[str, ...]: ...


@pytest.fixture(scope="session")
def erl() -> Erl:
    program = shutil.which("erl")
    if program is None:
        pytest.skip("erl is not installed")

    def run(
        *words: str, home: Path, say: str = "[atom_to_list(node()), atom_to_list(erlang:get_cookie())]"
    ) -> tuple[str, ...]:
        show = f'[io:format("|~s~n", [base64:encode(iolist_to_binary(Each))]) || Each <- {say}], halt().'
        done = subprocess.run(
            [program, "-noinput", "-start_epmd", "false", "-dist_listen", "false", "-eval", show, *words],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "ERL_CRASH_DUMP_SECONDS": "0"},
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done
        # What has no bar is a complaint of the kernel.
        said = [line[1:] for line in done.stdout.splitlines() if line.startswith(b"|")]
        return tuple(base64.b64decode(line).decode("latin-1") for line in said)

    return run
