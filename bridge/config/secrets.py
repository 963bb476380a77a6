"""Every secret that the configuration names: at which key, in which file, and whether it opens the cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.config.cookie import own_files
from bridge.config.keys import values
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.load import Loaded

DEFAULT_CREDENTIALS: Final = "GOOGLE_APPLICATION_CREDENTIALS"
"""google-auth's own variable: the file of the Application Default Credentials."""
_OF_CLUSTER: Final = frozenset({"cookie", "cookie_file", "vm_args", "keyfile"})
_GOOGLE: Final = "bridge.google.credentials_file"


class Place(NamedTuple):
    """Where a secret lies."""

    key: str
    where: str
    """The file, else what names it: a variable, an option, or a line of the configuration."""
    path: Path | None
    """The file, which is that of the configuration for a secret that is in there; None for a variable."""
    opens_cluster: bool
    """Whether it opens the cluster: a cookie or the key of the client certificate; else it is for the destinations."""

    @property
    def readable(self) -> bool:
        """Whether this process can read it."""
        return self.path is None or os.access(self.path, os.R_OK)


def secrets(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[Place]:
    """Every secret but the proxy's password; whether it is there is not looked at."""
    for key, value in values(loaded.settings):
        of_cluster = key.field in _OF_CLUSTER
        if not value or not (of_cluster or "secret" in key.field or key.name == _GOOGLE):
            continue
        where, path = loaded.where(key.name), None
        if isinstance(value, Secret):
            path = loaded.file if where.startswith(f"{loaded.file}:") else None
        elif not key.field.endswith("_env"):
            where, path = str(value), Path(str(value))
        elif not environ.get(str(value)):
            continue
        yield Place(key.name, where, path, of_cluster)
    for path in own_files(environ):
        yield Place("cookie", str(path), path, opens_cluster=True)
    default = environ.get(DEFAULT_CREDENTIALS)
    if default and loaded.where("bridge.google") and not loaded.where(_GOOGLE):
        yield Place(_GOOGLE, default, Path(default), opens_cluster=False)
