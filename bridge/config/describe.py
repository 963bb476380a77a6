"""The configuration described from its model: a commented example, a JSON schema for editors, the effective values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.config.load import BRIDGE_REPORT, env_name, keys
from bridge.config.model import SECTIONS, Settings, Tls
from bridge.secret import MASK, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.access import Access
    from bridge.config.load import Loaded

_EXAMPLES = {
    "report": "true",
    "tracking_id.id": '"G-XXXX"',
    "tracking_id.secret": '"Secret"',
    "tracking_id.secret_file": '"/run/secrets/ga4"',
    "name": '"mongooseim_bridge@localhost"',
    "cookie_file": '"/etc/mongooseim/cookie"',
    "vm_args": '"/etc/mongooseim/vm.args"',
    "epmd_port": "4369",
    "ca_file": '"/etc/ssl/certs/company.pem"',
    "proxy": '"http://proxy:3128"',
    "cacertfile": '"/etc/mongooseim/ca.pem"',
    "certfile": '"/etc/mongooseim/bridge.pem"',
    "keyfile": '"/etc/mongooseim/bridge.key"',
    "optfile": '"/etc/mongooseim/ssl_dist.conf"',
    "country": '"PL"',
    "region": '"PL-12"',
    "city": '"Krakow"',
    "port": "9180",
    "measurement_id": '"G-YYYY"',
    "api_secret": '"Secret"',
    "api_secret_file": '"/run/secrets/ga4"',
    "api_secret_env": '"GA4_SECRET"',
}
"""What an optional key may look like; keys with a default are shown with that default."""


def description(kind: object) -> str:
    """What the model says of a key."""
    return next((meta.description for meta in get_args(kind) if isinstance(meta, Meta) and meta.description), "")


def example() -> str:
    """A configuration file in which every key is explained; what is not needed is commented out."""
    return "\n".join(_example()) + "\n"


def _example() -> Iterator[str]:
    yield "# mongooseim-bridge: every key, its meaning and its default. Only the lines without # are needed."
    table = ""
    for key, kind, default in keys():
        path, _, name = key.rpartition(".")
        if name == "cookie":
            continue  # from the environment only
        section = next(section for section in SECTIONS if key.startswith(section + "."))
        if path.endswith("tracking_id"):
            path, name = section, key.removeprefix(section + ".")
        if path != table:
            table = path
            many = table.endswith("[]")
            needed = table in SECTIONS
            header = f"[[{table[:-2]}]]" if many else f"[{table}]"
            yield f"\n{'' if needed else '# '}{header}"
        yield f"# {description(kind)}"
        shown = _EXAMPLES.get(name) or _toml(default)
        # One consent only: bridge.report would beat the other one without being looked at.
        needed = name in {"report", "tracking_id.id", "tracking_id.secret_file", "nodes", "cookie_file"}
        needed = needed and key != BRIDGE_REPORT
        yield f"{'' if needed else '# '}{name} = {shown}"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:_}"
        if isinstance(value, int) and value > 65_535
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def json_schema() -> bytes:
    """A JSON schema (2020-12) of the file, for editors that check TOML against one."""
    bodies, components = msgspec.json.schema_components(
        SECTIONS.values(), schema_hook=_schema_of_secret, ref_template="#/$defs/{name}"
    )
    service, bridge = bodies
    whole: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mongooseim-bridge",
        "type": "object",
        "properties": {
            "services": {"type": "object", "properties": {"service_mongoose_system_metrics": service}},
            "bridge": bridge,
        },
        "$defs": components,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _schema_of_secret(kind: type) -> dict[str, object]:
    if kind is Secret:
        return {"type": "string", "minLength": 1}
    raise NotImplementedError(kind)


def effective(loaded: Loaded, access: Access | None) -> list[tuple[str, str, str, str]]:
    """Every key with its effective value, where it came from and its variable; secrets are masked.

    Args:
        loaded: the configuration.
        access: what was found out from it; None where it cannot be.
    """
    settings, origins = _as_used(loaded, access) if access else (loaded.settings, loaded.origins)
    variables = {key: env_name(key) for key, _, _ in keys() if "[" not in key}
    rows = []
    for key, value in _values(settings):
        shown = MASK if isinstance(value, Secret) else "" if value is None or value is UNSET else _toml(value)
        rows.append((key, shown, origins.get(key, "default"), variables.get(key, "")))
    return rows


def _as_used(loaded: Loaded, access: Access) -> tuple[Settings, Mapping[str, str]]:
    """The settings and their origins with what is not in the configuration itself: from vm.args, files, this host."""
    bridge, tls = loaded.settings.bridge, access.tls
    elsewhere = bridge.vm_args or "default"
    origins = {"bridge.nodes": elsewhere, "bridge.name": "this host's name", **loaded.origins}
    origins["bridge.cookie"] = access.cookie.origin
    if tls:
        files = {key: str(path) for key in ("cacertfile", "certfile", "keyfile") if (path := getattr(tls, key))}
        optfile = None if isinstance(bridge.tls, UnsetType) else bridge.tls.optfile
        used: Tls | UnsetType = Tls(**files, verify=tls.verify, check_hostname=tls.check_hostname, optfile=optfile)
        source = optfile or (elsewhere if isinstance(bridge.tls, UnsetType) else "default")
        origins = {**{f"bridge.tls.{key}": source for key in (*files, "verify", "check_hostname")}, **origins}
    else:
        used = UNSET
    bridge = msgspec.structs.replace(
        bridge,
        nodes=tuple(f"{entry}:{entry.port}" if entry.port else str(entry) for entry in access.entries),
        name=str(access.own_name),
        cookie=access.cookie.secret,
        tls=used,
    )
    return Settings(loaded.settings.service, bridge), origins


def _values(settings: Settings) -> Iterator[tuple[str, object]]:
    for (section, _), struct in zip(SECTIONS.items(), (settings.service, settings.bridge), strict=True):
        yield from _leaves(struct, section)


def _leaves(struct: Struct, path: str) -> Iterator[tuple[str, object]]:
    for info in msgspec.structs.fields(type(struct)):
        value = getattr(struct, info.name)
        key = f"{path}.{info.name}"
        if isinstance(value, Struct):
            yield from _leaves(value, key)
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            for number, item in enumerate(value):
                yield from _leaves(item, f"{key}[{number}]")
        else:
            yield key, value
