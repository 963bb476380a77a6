"""Names that resemble ours in other places: whoever has misspelt a refusal must not be reported about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bridge.config.errors import Problem
from bridge.config.keys import CONFIG_VARIABLE, DO_NOT_TRACK, ENV_PREFIX, SERVICE, keys
from bridge.config.model import ServiceSection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bridge.config.source import Source

ALIKE: Final = 0.83
"""How alike (difflib's ratio) two names are of which one is the other misspelt: two letters of six exchanged."""
_SERVICE_LINK: Final = re.compile(r"\w+_(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP|SCTP)\w*)=.*|\w+_PORT=\w+://.*")
"""What Kubernetes sets in every pod beside a service whose name begins with mongooseim-bridge."""


def nearest(name: str, known: Iterable[str], alike: float = ALIKE) -> str | None:
    """The known name that is most like this one, if any is."""
    from difflib import get_close_matches  # noqa: PLC0415 - 1 ms that only a doubtful name takes

    return next(iter(get_close_matches(name, known, n=1, cutoff=alike)), None)


def misspelt_variables(environ: Mapping[str, str], named: set[str]) -> Iterator[Problem]:
    """Environment variables that resemble ours.

    Args:
        environ: the environment.
        named: those that the configuration names as places of secrets.
    """
    known = {DO_NOT_TRACK, CONFIG_VARIABLE, *(key.variable for key in keys())}
    for name in sorted(environ.keys() - known - named):
        upper = name.upper()
        alike = any(part in upper for part in ("MONGOOSE", "BRIDGE", "TRACK", "DO_NOT"))
        near = nearest(upper, known) if alike else None
        if ("MONGOOSE" in upper and "REPORT" in upper) or upper == "BRIDGE_REPORT":
            near = near or f"{ENV_PREFIX}REPORT"
        link = _SERVICE_LINK.fullmatch(f"{name}={environ[name]}")
        if not link and (near or upper.startswith(ENV_PREFIX)):
            remedy = f"did you mean {near}?" if near else "docs/configuration.md has all variables"
            yield Problem(f"environment {name}", "", "is not a variable of the bridge", remedy)


def misplaced_keys(source: Source) -> Iterator[Problem]:
    """Tables and keys of the file that resemble ours, outside of ours."""
    return _misplaced(source, source.tables, "")


def _misplaced(source: Source, table: Mapping[str, object], path: str) -> Iterator[Problem]:
    for name, value in table.items():
        key = f"{path}.{name}".lstrip(".")
        if key in {"bridge", SERVICE}:
            continue
        if meant := _meant(name, value, path):
            yield Problem(source.place(key), key, "is not read there", f"did you mean {meant}?")
        elif isinstance(value, dict):
            yield from _misplaced(source, value, key)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _misplaced(source, item, f"{key}[{number}]")


def _meant(name: str, value: object, path: str) -> str | None:
    """What was meant by a name outside our sections; None for what is MongooseIM's."""
    plain = name.lower().replace("-", "_")
    if "system_metrics" in plain or nearest(plain, [SERVICE.partition(".")[2]]):
        return f"[{SERVICE}]"
    if path in {"", "services", "modules"} and nearest(plain, ["bridge"]):
        return "[bridge]"
    near = nearest(plain, ServiceSection.__struct_fields__)
    if plain.startswith("report") and isinstance(value, bool):
        near = "report"
    if isinstance(value, list) or (near == "report" and isinstance(value, dict) and path):
        return None  # lists of access rules have names of the operator's, and exometer a section called report
    if not path and not isinstance(value, dict):
        return f"{near or name} in [{SERVICE if near else 'bridge'}]"  # MongooseIM has no key outside a section
    return near and f"{near} in [{SERVICE}]"
