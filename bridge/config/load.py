"""Options, environment and file, in that order of strength, into checked `Settings`, with the origin of each value.

All problems are found in one go: every leaf of the model is looked up in the three sources and converted alone.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import find, home, read
from bridge.config.model import ENVIRONMENT_ONLY, SECTIONS, BridgeSection, ServiceSection, Settings
from bridge.config.source import parse
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bridge.config.source import Source

ENV_PREFIX: Final = "MONGOOSEIM_BRIDGE_"
DEFAULT_FILE: Final = Path("/etc/mongooseim-bridge/config.toml")
SERVICE: Final = "services.service_mongoose_system_metrics"
DO_NOT_TRACK: Final = "DO_NOT_TRACK"
BRIDGE_REPORT: Final = "bridge.report"
COOKIE: Final = "bridge.cookie"
SHORTEST_PERIOD: Final = 60_000
"""A shorter one was probably meant in seconds."""

_SYSTEMD: Final = {"bridge.state_dir": "STATE_DIRECTORY", "bridge.log_dir": "LOGS_DIRECTORY"}
_ALIKE: Final = 0.83
"""How alike (difflib's ratio) two names are of which one is the other misspelt: two letters of six exchanged."""
_SERVICE_LINK: Final = re.compile(r"\w+_(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP|SCTP)\w*)=.*|\w+_PORT=\w+://.*")
"""What Kubernetes sets in every pod beside a service whose name begins with mongooseim-bridge."""
_StructT = TypeVar("_StructT", bound=Struct)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The checked settings and, for every key that was set, where: option, variable, or file and line."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None = None

    def is_set(self, key: str) -> bool:
        """Whether `key` ("bridge.nodes") was given anywhere, as opposed to defaulted."""
        return key in self.origins

    @property
    def doubts(self) -> tuple[Problem, ...]:
        """What can be used, but is hardly meant."""
        key, period = f"{SERVICE}.periodic_report", self.settings.service.periodic_report
        if period >= SHORTEST_PERIOD:
            return ()
        what, remedy = f"a report every {period} ms", "the unit is the millisecond: 20 minutes are 1_200_000"
        return (Problem(self.origins[key], key, what, remedy),)


def env_name(key: str) -> str:
    """The environment variable of a key: `bridge.state_dir` is MONGOOSEIM_BRIDGE_STATE_DIR."""
    short = key.removeprefix(SERVICE + ".").removeprefix("bridge.")
    return ENV_PREFIX + short.upper().replace(".", "_")


def load(file: Path | None, environ: Mapping[str, str], options: Mapping[str, object]) -> Loaded:
    """Read and check the configuration.

    Args:
        file: the TOML file; None takes MONGOOSEIM_BRIDGE_CONFIG, else the default file if there is one.
        environ: the environment.
        options: values of the command line by key ("bridge.nodes"); absent keys were not given.

    Raises:
        ConfigError: with every problem of every key.
    """
    given = file or environ.get(ENV_PREFIX + "CONFIG", "").strip()
    path = Path(given or DEFAULT_FILE)
    data = read(path, "--config") if given else find(path, "--config")
    reader = _Reader(environ, options, *parse(path, data or b""))
    service = reader.section(ServiceSection, SERVICE)
    bridge = reader.section(BridgeSection, "bridge")
    reader.check_variables()
    reader.check_table(reader.root)
    if reader.problems:
        raise ConfigError(reader.problems)
    return Loaded(Settings(service=service, bridge=bridge), reader.origins, None if data is None else path)


@dataclass(slots=True)
class _Reader:
    """Walks the model and takes each leaf from the strongest source that has it."""

    environ: Mapping[str, str]
    options: Mapping[str, object]
    source: Source
    root: Mapping[str, object]
    problems: list[Problem] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    named_variables: set[str] = field(default_factory=set)
    """Those that the configuration names as places of secrets."""

    def section(self, cls: type[_StructT], path: str) -> _StructT:
        table: object = self.root
        for name in path.split("."):
            table = table.get(name, {}) if isinstance(table, dict) else table
        return self._struct(cls, table, path) or cls()

    def check_variables(self) -> None:
        """Find variables that resemble ours: whoever has misspelt a refusal must not be reported about."""
        known = {DO_NOT_TRACK, ENV_PREFIX + "CONFIG", *(env_name(key) for key, _, _ in keys() if "[" not in key)}
        for name in sorted(self.environ.keys() - known - self.named_variables):
            upper = name.upper()
            alike = any(part in upper for part in ("MONGOOSE", "BRIDGE", "TRACK", "DO_NOT"))
            near = _nearest(upper, known) if alike else None
            link = _SERVICE_LINK.fullmatch(f"{name}={self.environ[name]}")
            if not link and (near or upper.startswith(ENV_PREFIX)):
                remedy = f"did you mean {near}?" if near else "docs/configuration.md has all variables"
                self.problems.append(Problem(f"environment {name}", "", "is not a variable of the bridge", remedy))

    def check_table(self, table: Mapping[str, object], path: str = "") -> None:
        """Find sections and keys that resemble ours in other places, for the same reason."""
        for name, value in table.items():
            key = f"{path}.{name}".lstrip(".")
            if key in SECTIONS:
                continue
            if meant := _misplaced(name, value, path):
                self._problem(key, "is not read there", f"did you mean {meant}?")
            elif isinstance(value, dict):
                self.check_table(value, key)
            elif isinstance(value, list):
                for number, item in enumerate(value):
                    if isinstance(item, dict):
                        self.check_table(item, f"{key}[{number}]")

    def _struct(self, cls: type[_StructT], table: object, path: str) -> _StructT | None:
        if not isinstance(table, dict):
            self._problem(path, f"must be a table, as in [{path}]")
            return None
        fields = {field.name: field for field in msgspec.structs.fields(cls)}
        for name in table.keys() - fields.keys():
            near = difflib.get_close_matches(name.lower(), fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
            self._problem(f"{path}.{name}", "unknown key", hint)
        values: dict[str, object] = {}
        before = len(self.problems)
        for name, info in fields.items():
            key = f"{path}.{name}"
            nested, many = _nested(info.type)
            if nested and many:
                if name in table:
                    values[name] = tuple(self._many(nested, table[name], key))
            elif nested:
                inner = self._struct(nested, table.get(name, {}), key)
                if name in table or any(origin.startswith(key + ".") for origin in self.origins):
                    values[name] = inner
            else:
                self._leaf(info.type, table, key, values)
            if info.required and name not in values and name not in table:
                self._problem(key, "is missing")
        return cls(**values) if len(self.problems) == before else None

    def _many(self, cls: type[_StructT], items: object, key: str) -> Iterator[_StructT | None]:
        if not isinstance(items, list):
            self._problem(key, f"must be a list of tables, as in [[{key}]]")
            return
        for number, item in enumerate(items):
            self.origins[key] = self.source.place(key)
            yield self._struct(cls, item, f"{key}[{number}]")

    def _leaf(self, kind: object, table: Mapping[str, object], key: str, values: dict[str, object]) -> None:
        name = key.rpartition(".")[2]
        variable = env_name(key)
        set_by_systemd = _SYSTEMD.get(key, "")
        value: object
        if key in self.options:
            value, origin = self.options[key], "option"
        elif "[" not in key and (text := self.environ.get(variable, "")).strip():
            # A mounted or piped value has a line's end; the blanks of a cookie belong to it.
            text = text.strip("\r\n" if key == COOKIE else None)
            value = text.replace(",", " ").split() if "tuple" in str(kind) else text
            origin = f"environment {variable}"
        elif name in table and key in ENVIRONMENT_ONLY:
            self._problem(key, f"is taken from {variable} only", f"use {ENVIRONMENT_ONLY[key]} instead")
            return
        elif name in table:
            value, origin = table[name], self.source.place(key)
        elif text := self.environ.get(set_by_systemd, ""):
            value, origin = text.partition(":")[0], f"environment {set_by_systemd}"  # several are parted by colons
        else:
            return
        try:
            strict = not origin.startswith("environment ")
            values[name] = msgspec.convert(self._text(value, kind, key), kind, strict=strict, dec_hook=_decode)
            self.origins[key] = origin
            if name == "api_secret_env":
                self.named_variables.add(str(value))
        except msgspec.ValidationError as error:
            self.problems.append(Problem(origin, key, _reason(error, kind)))

    def _text(self, value: object, kind: object, key: str) -> object:
        """A value as it is meant: the case of a choice and ~ for the home directory are the operator's.

        Raises:
            msgspec.ValidationError: a text has what none may have: GA4 and nodes take it without a word, and fail.
        """
        if isinstance(value, list | tuple):
            return [self._text(item, kind, key) for item in value]
        if not isinstance(value, str):
            return value
        if not value.isprintable():
            raise msgspec.ValidationError("holds a line break or another character that cannot be printed")
        if value != value.strip() and key != COOKIE:
            raise msgspec.ValidationError("begins or ends with a blank")
        if value.startswith("~/") and (own := home(self.environ)):
            return str(own / value[2:])
        return value.lower() if _choices(kind) else value

    def _problem(self, key: str, what: str, remedy: str = "") -> None:
        self.problems.append(Problem(self.source.place(key), key, what, remedy))


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)), None)


def _misplaced(name: str, value: object, path: str) -> str | None:
    """What was meant by a name outside our sections; None for what is MongooseIM's."""
    plain = name.lower().replace("-", "_")
    if "system_metrics" in plain or _nearest(plain, [SERVICE.partition(".")[2]]):
        return f"[{SERVICE}]"
    if path in {"", "services", "modules"} and _nearest(plain, ["bridge"]):
        return "[bridge]"
    # Exometer has a section called report.
    near = _nearest(plain, ServiceSection.__struct_fields__) if not isinstance(value, list) else None
    return None if near == "report" and isinstance(value, dict) else near and f"{near} in [{SERVICE}]"


def _nested(kind: object) -> tuple[type[Struct] | None, bool]:
    """The struct inside a field's type, and whether the field holds many of them."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind, False
    for inner in get_args(kind):
        struct, many = _nested(inner)
        if struct:
            return struct, many or (... in get_args(kind))
    return None, False


def _decode(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str) and value:
        return Secret(value)
    raise ValueError("must be a text that is not empty")


def _reason(error: msgspec.ValidationError, kind: object) -> str:
    """What msgspec says as part of a sentence; a choice names what may be chosen."""
    text = str(error).replace("`", "").partition(" - at ")[0]
    if choices := _choices(kind):
        return f"must be one of {', '.join(choices)}"
    return text[:1].lower() + text[1:]


def _choices(kind: object) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next(filter(None, map(_choices, get_args(kind))), ())


def keys() -> Iterator[tuple[str, object, object]]:
    """Every leaf key of the configuration with its type and default, in the order of the model."""
    for path, cls in SECTIONS.items():
        yield from _keys(cls, path)


def _keys(cls: type[Struct], path: str) -> Iterator[tuple[str, object, object]]:
    for info in msgspec.structs.fields(cls):
        nested, many = _nested(info.type)
        if nested:
            yield from _keys(nested, f"{path}.{info.name}" + ("[]" if many else ""))
        else:
            yield f"{path}.{info.name}", info.type, info.default
