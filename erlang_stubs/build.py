"""Compile the Erlang sources of the stubs once, into a directory named by what they say."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from erlang_stubs.beam import StubError

HERE: Final = Path(__file__).parent
_PARTS: Final = ("build.escript", "modules.terms", "scenarios/*.terms", "src/*.erl", "src/*/*.erl")
_BUILD_DEADLINE: Final = 60.0


def beams() -> Path:
    """The directory with the compiled stubs, compiled first where the sources have changed.

    Two processes may build at once: each builds aside and the first to rename wins. Runtimes without a compiler load
    what a compiler has built here before.

    Raises:
        StubError: the sources do not compile, or there is no `escript`.
    """
    wanted = HERE / "ebin" / _fingerprint()
    if not wanted.is_dir():
        wanted.parent.mkdir(exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix="building-", dir=wanted.parent))
        try:
            _compile(aside)
            aside.rename(wanted)
        except OSError:  # another process was faster
            if not wanted.is_dir():
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return wanted


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for part in _PARTS for path in HERE.glob(part)):
        digest.update(f"{path.relative_to(HERE)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _compile(out: Path) -> None:
    try:
        done = subprocess.run(
            ["escript", HERE / "build.escript", out],
            capture_output=True,
            text=True,
            timeout=_BUILD_DEADLINE,
            check=False,
        )
    except FileNotFoundError as error:
        raise StubError("escript is missing: `make setup` installs Erlang") from error
    if done.returncode != 0:
        raise StubError(f"the stubs do not compile:\n{done.stdout}{done.stderr}")
