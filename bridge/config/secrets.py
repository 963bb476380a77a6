"""Secrets from files: read whole, checked for mode, never shown."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES: Final = 4096
"""No cookie or API secret is longer (Erlang caps a cookie at 255 characters); a larger file is another file."""


def read_secret(path: Path, key: str) -> Secret:
    """The text of a secret file without the blank space around it.

    Raises:
        ConfigError: unreadable, empty, not text, or too large to be a secret.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        what, remedy = f"cannot be read: {error.strerror}", "check the path, and that this user may read it"
        raise ConfigError([Problem(str(path), key, what, remedy)]) from error
    text = data.decode("utf-8", errors="replace").strip()
    if not text or len(data) > _MOST_BYTES or "\ufffd" in text or not text.isprintable():
        what, remedy = "does not hold one line of text", "put the secret there and nothing else"
        raise ConfigError([Problem(str(path), key, what, remedy)])
    return Secret(text)


def exposed(path: Path, forbidden: int) -> str | None:
    """Who else can read or change a secret file, as text; None when its mode is right. The remedy is chmod 0400.

    Args:
        path: the file; a missing one is not exposed.
        forbidden: the mode bits that must not be set, e.g. `stat.S_IRWXO | stat.S_IWGRP`.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if not mode & forbidden:
        return None
    who = "group-writable" if mode & forbidden & stat.S_IWGRP else "open to others"
    return f"is {who} (mode {mode:04o})"
