"""Which names GA4 takes for events, params and user properties; rules as in the Measurement Protocol reference."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

_ALPHABETIC: Final = re.compile(r"[A-Za-z]")
_WORD: Final = re.compile(r"[A-Za-z0-9_]+")

_RESERVED_PREFIXES: Final = ("_", "firebase_", "ga_", "google_", "gtag.")
_RESERVED_EVENTS: Final = frozenset(
    {
        "ad_activeview",
        "ad_click",
        "ad_exposure",
        "ad_query",
        "ad_reward",
        "adunit_exposure",
        "app_clear_data",
        "app_exception",
        "app_install",
        "app_remove",
        "app_store_refund",
        "app_update",
        "app_upgrade",
        "dynamic_link_app_open",
        "dynamic_link_app_update",
        "dynamic_link_first_open",
        "error",
        "firebase_campaign",
        "firebase_in_app_message_action",
        "firebase_in_app_message_dismiss",
        "firebase_in_app_message_impression",
        "first_open",
        "first_visit",
        "notification_dismiss",
        "notification_foreground",
        "notification_open",
        "notification_receive",
        "notification_send",
        "os_update",
        "session_start",
        "user_engagement",
    }
)
_RESERVED_PARAMS: Final = frozenset({"firebase_conversion"})
_RESERVED_PROPERTIES: Final = frozenset(
    {"first_open_after_install", "first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id"}
)


class _Rule(NamedTuple):
    longest: int
    prefixes: tuple[str, ...]
    reserved: frozenset[str]


class Kind(Enum):
    """What a name is for."""

    EVENT = _Rule(40, (), _RESERVED_EVENTS)
    PARAM = _Rule(40, _RESERVED_PREFIXES, _RESERVED_PARAMS)
    USER_PROPERTY = _Rule(24, _RESERVED_PREFIXES, _RESERVED_PROPERTIES)


class NameProblem(NamedTuple):
    """A validation code and the sentence that goes with it."""

    code: str
    text: str


def name_problem(kind: Kind, name: str) -> NameProblem | None:
    """What is wrong with a name, if anything; the first of its faults is told."""
    longest, prefixes, reserved = kind.value
    if name in reserved:
        return NameProblem("NAME_RESERVED", "The name is reserved.")
    if not _ALPHABETIC.match(name):
        return NameProblem("NAME_INVALID", "Names must start with an alphabetic character.")
    for prefix in prefixes:
        if name.startswith(prefix):
            return NameProblem("NAME_RESERVED", f"The prefix [{prefix}] is reserved.")
    if not _WORD.fullmatch(name):
        return NameProblem("NAME_INVALID", "Only alphanumeric characters and underscores are allowed.")
    if len(name) > longest:
        return NameProblem("NAME_INVALID", f"Names must have at most [{longest}] characters.")
    return None
