"""What to do when stdout takes nothing more: the reader of a pipe has gone, or the disk is full."""

from __future__ import annotations

import os
import sys
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from typing import Final

FULL: Final = frozenset({ENOSPC, EDQUOT, EFBIG, EIO})
"""Errors of a write that say so; whatever else can fail has an error of its own."""


def give_up_output() -> None:
    """Let what is still in the buffer of stdout go nowhere: Python would try to write it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
