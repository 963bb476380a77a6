"""Files that the configuration names: read whole, secrets checked for their mode and never shown."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST: Final = 1_000_000
"""Bytes; nobody writes a configuration by hand that is larger, and a device has no end."""
_LONGEST_SECRET: Final = 4096


def find(path: Path, key: str) -> bytes | None:
    """What a file holds that need not be there; None where it is not.

    Args:
        path: the file.
        key: the key of the configuration that names it.

    Raises:
        ConfigError: it cannot be read; the remedy says by whom it could be.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        remedy = "check the path"
        if isinstance(error, PermissionError):
            remedy = f"run as a user who may read it{_owner(path)}, or name another file"
        raise ConfigError([Problem(str(path), key, f"cannot be read: {error.strerror}", remedy)]) from error
    if len(data) > _LARGEST:
        raise ConfigError([Problem(str(path), key, "is larger than any such file", "check the path")])
    return data


def read(path: Path, key: str) -> bytes:
    """What a file holds that the operator has named.

    Raises:
        ConfigError: it cannot be read, or there is none.
    """
    data = find(path, key)
    if data is None:
        raise ConfigError([Problem(str(path), key, f"cannot be read: {os.strerror(errno.ENOENT)}", "check the path")])
    return data


def _owner(path: Path) -> str:
    try:
        return f", as {path.owner()}"
    except (OSError, KeyError):  # the directory cannot be entered; a user without a name
        return ""


def read_secret(path: Path, key: str) -> Secret:
    """The text of a secret file without the blank space around it.

    Raises:
        ConfigError: unreadable, empty, not one line of text, or too large to be a secret.
    """
    return one_line(read(path, key).decode("utf-8", errors="replace"), str(path), key)


def one_line(text: str, where: str, key: str) -> Secret:
    """A secret without the blank space around it, as a mounted file or variable has it.

    Raises:
        ConfigError: empty, not one line of text, or too large to be a secret.
    """
    secret = text.strip()
    if not secret or len(secret) > _LONGEST_SECRET or not secret.isprintable() or "\ufffd" in secret:
        raise ConfigError([no_secret(where, key)])
    return Secret(secret)


def no_secret(where: str, key: str) -> Problem:
    """What is wrong with a file or a variable that should hold a secret."""
    return Problem(where, key, "does not hold one line of text", "put the secret there and nothing else")


def exposed(path: Path, key: str, forbidden: int = stat.S_IRWXO) -> Problem | None:
    """Who else can read or change a file with a secret; None where nobody can, or there is no file.

    Args:
        path: the file.
        key: the key of the configuration that names it.
        forbidden: the mode bits that must not be set.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if not mode & forbidden:
        return None
    who = "group-writable" if mode & forbidden & stat.S_IWGRP else "open to others"
    return Problem(str(path), key, f"a file with a secret is {who} (mode {mode:04o})", f"run: chmod 0400 {path}")


def fingerprint(key: str, *paths: Path | None) -> int:
    """Differs, within this process, when the contents of any of the files do; renewed files keep their names.

    Raises:
        ConfigError: one of them cannot be read.
    """
    return hash(tuple(read(path, key) for path in paths if path is not None))


def home(environ: Mapping[str, str]) -> Path | None:
    """The home directory; None for a user who has none, as in a container under an arbitrary number."""
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        return None
