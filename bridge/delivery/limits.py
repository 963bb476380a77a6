"""What GA4 takes, as named numbers, and a check of events against them.

GA4 answers 204 to anything and drops what breaks a limit without a word, so a report is checked before it is queued.
Sources: Measurement Protocol reference, "Limitations", "Reserved names"
(developers.google.com/analytics/devguides/collection/protocol/ga4/reference and …/sending-events).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.report.model import Event

EVENTS_PER_REQUEST: Final = 25
PARAMS_PER_EVENT: Final = 25
NAME_LENGTH: Final = 40
"""Characters of an event or param name."""
VALUE_LENGTH: Final = 100
"""Characters of a param value in a standard property (500 in a 360 property)."""
BODY_BYTES: Final = 120_000
"""GA4 takes bodies under 130 kB, and does not say whether k is 1000 or 1024 or what a relay adds."""
EVENTS_PER_DAY: Final = 100_000
"""Events per Client ID and day; GA4 drops the rest without a word."""
INTEGER_BITS: Final = 64
"""GA4's metrics are signed integers of this size, or doubles."""

ADDED_PARAMS: Final = ("session_id", "engagement_time_msec")
"""Put into every event when it is sent: without them it does not show in Realtime and users stay 0."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED_PREFIXES: Final = ("_", "firebase_", "ga_", "google_", "gtag.")
_RESERVED_PARAMS: Final = frozenset({"firebase_conversion", *ADDED_PARAMS})
RESERVED_EVENTS: Final = frozenset(
    """
    ad_activeview ad_click ad_exposure ad_query ad_reward adunit_exposure app_clear_data app_exception app_install
    app_remove app_store_refund app_update app_upgrade dynamic_link_app_open dynamic_link_app_update
    dynamic_link_first_open error firebase_campaign firebase_in_app_message_action firebase_in_app_message_dismiss
    firebase_in_app_message_impression first_open first_visit notification_dismiss notification_foreground
    notification_open notification_receive notification_send os_update session_start user_engagement
    """.split()
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One limit that one event breaks; `param` is None where it is the event itself, `event` where it is neither."""

    event: str | None
    param: str | None
    limit: str

    def __str__(self) -> str:
        event = f"event {_shortened(self.event)}" if self.event is not None else "client_id"
        param = f", param {_shortened(self.param)}" if self.param is not None else ""
        return f"{event}{param}: {self.limit}"


def check(client_id: str, events: Sequence[Event]) -> tuple[Violation, ...]:
    """Every limit that a report breaks; nothing when GA4 takes it whole."""
    return tuple(_violations(client_id, events))


def _violations(client_id: str, events: Sequence[Event]) -> Iterator[Violation]:
    if not client_id or not client_id.isprintable():
        yield Violation(None, None, "a Client ID is printable text and not empty")
    for event in events:
        yield from _event(event)


def _event(event: Event) -> Iterator[Violation]:
    if broken := _name(event.name):
        yield Violation(event.name, None, broken)
    elif event.name in RESERVED_EVENTS:
        yield Violation(event.name, None, "this event name is reserved by GA4")
    if len(event.params) > PARAMS_PER_EVENT - len(ADDED_PARAMS):
        most = f"{PARAMS_PER_EVENT} params per event, {' and '.join(ADDED_PARAMS)} included"
        yield Violation(event.name, None, f"{len(event.params)} params; GA4 takes {most}")
    for name, value in event.params.items():
        if broken := _name(name):
            yield Violation(event.name, name, broken)
        elif name in _RESERVED_PARAMS:
            yield Violation(event.name, name, "this param name is reserved")
        if broken := _value(value):
            yield Violation(event.name, name, broken)


def _name(name: str) -> str | None:
    if name.startswith(RESERVED_PREFIXES):
        return f"names that start with {', '.join(RESERVED_PREFIXES)} are reserved by GA4"
    if not _NAME.fullmatch(name):
        return "a name is made of letters, digits and underscores and starts with a letter"
    if len(name) > NAME_LENGTH:
        return f"a name has at most {NAME_LENGTH} characters, this one {len(name)}"
    return None


def _value(value: object) -> str | None:
    """What GA4 does not take as a param value; null, lists and objects make it drop the whole event."""
    match value:
        case bool():
            return 'a value is a string or a number, not a boolean; send "true" or "false"'
        case str():
            if len(value) > VALUE_LENGTH:
                return f"a value has at most {VALUE_LENGTH} characters, this one {len(value)}"
            return None if _is_unicode(value) else "a value is valid Unicode"
        case int():
            fits = -(1 << (INTEGER_BITS - 1)) <= value < 1 << (INTEGER_BITS - 1)
            return None if fits else f"an integer fits {INTEGER_BITS} bits"
        case float():
            return None if math.isfinite(value) else "a number is finite"
        case _:
            return f"a value is a string or a number, not {type(value).__name__}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shortened(name: str) -> str:
    return repr(name if len(name) <= NAME_LENGTH + 1 else f"{name[:NAME_LENGTH]}…")
