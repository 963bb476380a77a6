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
    """Starts a node without EPMD or listener and gives the texts that a list of Erlang's consists of."""

    def __call__(self, *words: str, home: Path, say: str = ...) -> tuple[str, ...]: ...


@pytest.fixture(scope="session")
def erl(program: str) -> Erl:
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


@pytest.fixture(scope="session")
def program() -> str:
    found = shutil.which("erl")
    if found is None:
        pytest.skip("erl is not installed")
    return found
