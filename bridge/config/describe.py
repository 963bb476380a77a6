"""The configuration described from its model: a commented example, a JSON schema for editors, the effective values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from bridge.config.keys import COOKIE, SERVICE, keys, values
from bridge.config.model import Settings, Tls
from bridge.secret import MASK, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.config.access import Access
    from bridge.config.load import Loaded

_NEEDED: Final = {
    f"{SERVICE}.report",
    f"{SERVICE}.tracking_id.id",
    f"{SERVICE}.tracking_id.secret_file",
    "bridge.nodes",
    "bridge.cookie_file",
}
"""What an installation of the usual kind sets; bridge.report would beat the other consent without a look at it."""


def example() -> str:
    """A configuration file in which every key is explained; what is not needed is commented out."""
    return "\n".join(_example()) + "\n"


def _example() -> Iterator[str]:
    yield "# mongooseim-bridge: every key, its meaning and its default. Only the lines without # are needed."
    table = ""
    for key in keys():
        if key.name == COOKIE:
            continue  # from the environment only
        path, _, name = key.name.rpartition(".")
        if path == f"{SERVICE}.tracking_id":
            path, name = SERVICE, f"tracking_id.{name}"
        if path != table:
            table = path
            header = f"[[{table[:-2]}]]" if table.endswith("[]") else f"[{table}]"
            yield f"\n{'' if table in {SERVICE, 'bridge'} else '# '}{header}"
        yield f"# {key.meaning}"
        yield f"{'' if key.name in _NEEDED else '# '}{name} = {toml(key.example)}"


def toml(value: object) -> str:
    """A value as the file has it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}" if value > 65_535 else str(value)
    return f'"{value}"'


def json_schema() -> bytes:
    """A JSON schema (2020-12) of the file, for editors that check TOML against one."""
    schema = msgspec.json.schema(Settings, schema_hook=_schema_of_secret)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mongooseim-bridge", **schema}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _schema_of_secret(kind: type) -> dict[str, object]:
    if kind is Secret:
        return {"type": "string", "minLength": 1}
    raise NotImplementedError(kind)


def effective(loaded: Loaded, access: Access | None) -> list[tuple[str, object, str, str]]:
    """Every key with its effective value, where it came from and its variable; secrets are masked.

    Args:
        loaded: the configuration.
        access: what was found out from it; None where it cannot be.
    """
    found = _found(loaded, access) if access else {}
    rows = []
    for key, configured in values(loaded.settings):
        value, origin = found.get(key.name, (configured, loaded.origins.get(key.name, "default")))
        shown = MASK if isinstance(value, Secret) else None if value is UNSET else value
        rows.append((key.name, shown, origin, key.variable))
    return rows


def _found(loaded: Loaded, access: Access) -> dict[str, tuple[object, str]]:
    """The values that are not, or not all, in the configuration itself, each with its origin."""
    bridge, tls = loaded.settings.bridge, access.tls
    elsewhere = bridge.vm_args or "default"
    nodes = tuple(f"{entry}:{entry.port}" if entry.port else str(entry) for entry in access.entries)
    found: dict[str, tuple[object, str]] = {
        "bridge.nodes": (nodes, loaded.where("bridge.nodes") or elsewhere),
        "bridge.name": (str(access.own_name), loaded.where("bridge.name") or "this host's name"),
        COOKIE: (access.cookie.secret, access.cookie.origin),
    }
    source = bridge.tls.optfile or ("default" if loaded.where("bridge.tls") else elsewhere)
    for field in set(Tls.__struct_fields__) - {"optfile"}:
        key = f"bridge.tls.{field}"
        value = getattr(tls, field, None)
        origin = loaded.where(key) or source if tls else "plain TCP"
        found[key] = (str(value) if isinstance(value, Path) else value, origin)
    return found
