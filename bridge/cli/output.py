"""Where results go: a terminal or not, with colours or not, and what to do when stdout takes nothing more."""

from __future__ import annotations

import os
import shutil
import sys
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FULL: Final = frozenset({ENOSPC, EDQUOT, EFBIG, EIO})
"""Errors of a write that say so; whatever else can fail has an error of its own."""


def give_up_output() -> None:
    """Let what is still in the buffer of stdout go nowhere: Python would try to write it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def coloured(environ: Mapping[str, str]) -> bool | None:
    """Whether output has colours: as NO_COLOR or FORCE_COLOR say, not on a dumb terminal; None where it depends."""
    if environ.get("NO_COLOR") or (environ.get("TERM") == "dumb" and not environ.get("FORCE_COLOR")):
        return False
    return True if environ.get("FORCE_COLOR") else None


def width() -> int | None:
    """Columns of the terminal that stdout is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
