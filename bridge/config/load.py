"""Options, environment and file, in that order of strength, into checked `Settings`, with the origin of each value.

All problems are found in one go: every key of the model is looked up in its sources and converted alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import home
from bridge.config.keys import CONFIG_VARIABLE, COOKIE, Key, keys_of
from bridge.config.model import Settings
from bridge.config.source import read_source
from bridge.config.spelling import misplaced_keys, misspelt_variables, nearest
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.source import Source

_SYSTEMD: Final = {"bridge.state_dir": "STATE_DIRECTORY", "bridge.log_dir": "LOGS_DIRECTORY"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The checked settings and, for every key and table that was set, where: option, variable, or file and line."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None = None

    def where(self, key: str) -> str:
        """Where a key was set, or the first key of a table; empty where nothing was."""
        inside = (origin for other, origin in self.origins.items() if other.startswith(f"{key}."))
        return next(inside, self.origins.get(key, ""))


def load(file: Path | None, environ: Mapping[str, str], options: Mapping[str, object]) -> Loaded:
    """Read and check the configuration.

    Args:
        file: the TOML file; None takes MONGOOSEIM_BRIDGE_CONFIG, else the default file if there is one.
        environ: the environment.
        options: values of the command line by key ("bridge.nodes"); absent keys were not given.

    Raises:
        ConfigError: with every problem of every key.
    """
    variable = environ.get(CONFIG_VARIABLE, "").strip()
    source = read_source(file or (Path(variable) if variable else None))
    reader = _Reader(environ, options, source)
    settings = reader.table(Settings, source.tables, "")
    problems = [*reader.problems, *misspelt_variables(environ, reader.named_variables), *misplaced_keys(source)]
    if problems or not isinstance(settings, Settings):
        raise ConfigError(problems)
    return Loaded(settings, reader.origins, source.path)


@dataclass(slots=True)
class _Reader:
    """Walks the model and takes each key from the strongest source that has it."""

    environ: Mapping[str, str]
    options: Mapping[str, object]
    source: Source
    problems: list[Problem] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    named_variables: set[str] = field(default_factory=set)
    """Those that the configuration names as places of secrets."""

    def table(self, cls: type[Struct], given: object, path: str) -> Struct | None:
        """The struct of a table; None as soon as there is any problem."""
        if not isinstance(given, dict):
            self._problem(path, f"must be a table, as in [{path}]")
            return None
        known = {key.field: key for key in keys_of(cls, path)}
        if cls.__struct_config__.forbid_unknown_fields:
            for name in filter(lambda name: name not in known, given):
                near = nearest(name.lower(), known, 0.6)
                hint = f"did you mean {near!r}?" if near else f"known keys: {', '.join(known)}"
                self._problem(f"{path}.{name}", "unknown key", hint)
        values = {name: self._value(key, given.get(name, UNSET)) for name, key in known.items()}
        for name, key in known.items():
            if key.required and values[name] is UNSET and name not in given:
                self._problem(key.name, "is missing")
        if self.problems:
            return None
        return cls(**{name: value for name, value in values.items() if value is not UNSET})

    def _value(self, key: Key, given: object) -> object:
        """What a key or table is set to; UNSET where it is not, or wrong."""
        if not key.table:
            return self._plain(key, given)
        if given is not UNSET:
            self.origins[key.name] = self.source.place(key.name)
        if not key.many:
            return self.table(key.table, {} if given is UNSET else given, key.name)
        items = [] if given is UNSET else given
        if isinstance(items, list):
            return tuple(self.table(key.table, item, f"{key.name}[{number}]") for number, item in enumerate(items))
        self._problem(key.name, f"must be a list of tables, as in [[{key.name}]]")
        return UNSET

    def _plain(self, key: Key, given: object) -> object:
        if key.name == COOKIE and given is not UNSET:  # it opens the whole cluster
            self._problem(key.name, f"is taken from {key.variable} only", "use bridge.cookie_file instead")
            return UNSET
        value, origin = next(self._sources(key, given), (UNSET, ""))
        if value is UNSET:
            return UNSET
        self.origins[key.name] = origin
        if key.field == "api_secret_env":
            self.named_variables.add(str(value))
        try:
            strict = not origin.startswith("environment ")
            return msgspec.convert(self._meant(value, key), key.kind, strict=strict, dec_hook=_decode)
        except msgspec.ValidationError as error:
            self.problems.append(Problem(origin, key.name, _reason(error, key)))
            return UNSET

    def _sources(self, key: Key, given: object) -> Iterator[tuple[object, str]]:
        """Everywhere that a key is set, the strongest first; what is empty in the environment is not set."""
        if key.name in self.options:
            yield self.options[key.name], "option"
        # A mounted or piped value has a line's end; the blanks of a cookie belong to it.
        text = self.environ.get(key.variable, "").strip("\r\n" if key.name == COOKIE else None)
        if text.strip():
            yield text.replace(",", " ").split() if key.many else text, f"environment {key.variable}"
        if given is not UNSET:
            yield given, self.source.place(key.name)
        variable = _SYSTEMD.get(key.name, "")
        if directories := self.environ.get(variable, ""):
            yield directories.partition(":")[0], f"environment {variable}"

    def _meant(self, value: object, key: Key) -> object:
        """A value as it is meant: the case of a choice and ~ for the home directory are the operator's.

        Raises:
            msgspec.ValidationError: a text has what none may have: GA4 and nodes take it without a word, and fail.
        """
        if isinstance(value, list | tuple):
            return [self._meant(item, key) for item in value]
        if not isinstance(value, str):
            return value
        if not value.isprintable():
            raise msgspec.ValidationError("holds a line break or another character that cannot be printed")
        if value != value.strip() and key.name != COOKIE:
            raise msgspec.ValidationError("begins or ends with a blank")
        if value.startswith("~/") and (own := home(self.environ)):
            return str(own / value[2:])
        return value.lower() if key.choices else value

    def _problem(self, key: str, what: str, remedy: str = "") -> None:
        self.problems.append(Problem(self.source.place(key), key, what, remedy))


def _decode(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str) and value:
        return Secret(value)
    raise ValueError("must be a text that is not empty")


def _reason(error: msgspec.ValidationError, key: Key) -> str:
    """What msgspec says as part of a sentence; a choice names what may be chosen."""
    if key.choices:
        return f"must be one of {', '.join(key.choices)}"
    text = str(error).replace("`", "").partition(" - at ")[0]
    return text[:1].lower() + text[1:]
