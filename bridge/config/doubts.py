"""What can be used, but is hardly meant: logged by every command, and shown by `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.errors import Problem
from bridge.config.files import exposed
from bridge.config.keys import SERVICE, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.load import Loaded

SHORTEST_PERIOD: Final = 60_000
"""A shorter one was probably meant in seconds."""
DEFAULT_CREDENTIALS: Final = "GOOGLE_APPLICATION_CREDENTIALS"
"""google-auth's own variable: the file of the Application Default Credentials."""


def doubts(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[Problem]:
    """A period that was meant in seconds, and each file with a secret that others can read."""
    period = loaded.settings.service.periodic_report
    if period < SHORTEST_PERIOD:
        key, remedy = f"{SERVICE}.periodic_report", "the unit is the millisecond: 20 minutes are 1_200_000"
        yield Problem(loaded.where(key), key, f"a report every {period} ms", remedy)
    for key, path in _secret_files(loaded, environ).items():
        if doubt := exposed(path, key):
            yield doubt


def _secret_files(loaded: Loaded, environ: Mapping[str, str]) -> dict[str, Path]:
    """The files that hold a secret, by the key that names them or that is in them."""
    files = {}
    for key, value in values(loaded.settings):
        if key.names_secret and value:
            files[key.name] = Path(str(value))
        elif key.field.endswith("secret") and loaded.where(key.name).startswith(f"{loaded.file}:"):
            files[key.name] = Path(str(loaded.file))
    if loaded.where("bridge.google") and (default := environ.get(DEFAULT_CREDENTIALS)):
        files.setdefault("bridge.google.credentials_file", Path(default))
    return files
