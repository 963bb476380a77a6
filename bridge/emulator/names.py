"""Which names GA4 takes for events, params and user properties; rules as in the Measurement Protocol reference."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from bridge.delivery.limits import NAME_LENGTH, RESERVED_EVENTS, RESERVED_PREFIXES, VALUE_LENGTH

_ALPHABETIC: Final = re.compile(r"[A-Za-z]")
_WORD: Final = re.compile(r"[A-Za-z0-9_]+")
_PROPERTIES: Final = "first_open_after_install first_open_time first_visit_time last_deep_link_referrer user_id"


class Kind(NamedTuple):
    """What carries a name."""

    word: str
    name_length: int
    value_length: int
    """Of a text; 0 where there is no value."""
    prefixes: tuple[str, ...]
    """Names that begin so are reserved."""
    reserved: frozenset[str]


EVENT: Final = Kind("event", NAME_LENGTH, 0, (), RESERVED_EVENTS)
PARAM: Final = Kind("param", NAME_LENGTH, VALUE_LENGTH, RESERVED_PREFIXES, frozenset({"firebase_conversion"}))
USER_PROPERTY: Final = Kind("user property", 24, 36, RESERVED_PREFIXES, frozenset(_PROPERTIES.split()))


def name_problem(kind: Kind, name: str) -> tuple[str, str] | None:
    """The first rule that a name breaks, as a validation code and the sentence that goes with it."""
    if name in kind.reserved:
        return "NAME_RESERVED", "The name is reserved."
    if not _ALPHABETIC.match(name):
        return "NAME_INVALID", "Names must start with an alphabetic character."
    for prefix in kind.prefixes:
        if name.startswith(prefix):
            return "NAME_RESERVED", f"The prefix [{prefix}] is reserved."
    if not _WORD.fullmatch(name):
        return "NAME_INVALID", "Only alphanumeric characters and underscores are allowed."
    if len(name) > kind.name_length:
        return "NAME_INVALID", f"Names must have at most [{kind.name_length}] characters."
    return None
