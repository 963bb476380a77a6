"""The rules by which GA4 takes or drops what arrives, in the words of its validation server.

Sources: Measurement Protocol (GA4) reference, "Sending events" (limits, reserved names) and "Validating events" (codes,
texts). Nothing here is shared with bridge.delivery, which keeps to the same rules when it sends: two implementations
of the same pages check each other, and a limit misread on one side shows as a rejected event on the other.

Where Google publishes a text it is used as it is; the others are in its style. What follows from a broken rule is in
verdict.py.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NoReturn

from bridge.emulator.names import Kind, name_problem
from bridge.emulator.verdict import Finding, Level, Seen, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BODY: Final = 130_000
MAX_EVENTS: Final = 25
MAX_PARAMS: Final = 25
MAX_VALUE: Final = 100
MAX_ITEMS: Final = 200
MAX_PROPERTIES: Final = 25
MAX_PROPERTY_VALUE: Final = 36
OLDEST: Final = 72 * 3600 * 1_000_000
"""Microseconds; what is older counts as 72 hours old, or is dropped."""
CLOCK_SKEW: Final = 60 * 1_000_000
"""Microseconds by which a sender's clock may be ahead."""

_FIELDS: Final = frozenset(
    {
        "app_instance_id",
        "client_id",
        "consent",
        "device",
        "events",
        "ip_override",
        "non_personalized_ads",
        "timestamp_micros",
        "user_agent",
        "user_data",
        "user_id",
        "user_location",
        "user_properties",
        "validation_behavior",
    }
)
_EVENT_FIELDS: Final = frozenset({"name", "params", "timestamp_micros"})
_CLIENT_ID: Final = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)
_SESSION_ID: Final = re.compile(r"[0-9]+", re.ASCII)
_LOCATION: Final = {
    "city": re.compile(r".+"),
    "region_id": re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"),
    "country_id": re.compile(r"[A-Z]{2}"),
    "subcontinent_id": re.compile(r"[0-9]{3}", re.ASCII),
    "continent_id": re.compile(r"[0-9]{3}", re.ASCII),
}


class _Object(dict[str, object]):
    """A JSON object that remembers the names it had twice; JSON parsers drop all but one."""

    repeated: tuple[str, ...] = ()


def judge(body: bytes, now: int) -> Verdict:
    """Judge the body of a request.

    Args:
        body: as it arrived.
        now: microseconds since 1970.
    """
    if len(body) >= MAX_BODY:
        text = f"The payload has [{len(body)}] bytes. It must be under 130 kB."
        return Verdict(None, (), (_reject("VALUE_OUT_OF_BOUNDS", "", text),), enforced=False)
    try:
        root = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return Verdict(None, (), (_unparsed(f"{_why(error)}."),), enforced=False)
    if not isinstance(root, _Object):
        return Verdict(None, (), (_unparsed("The payload must be an object."),), enforced=False)
    listed = root.get("events")
    events = [event for event in listed if isinstance(event, _Object)] if isinstance(listed, list) else []
    client_id = root.get("client_id")
    findings = tuple(_request(root, now))
    # Like GA4's, the parser stops at the first field that it cannot read, before any rule is looked at.
    unparsed = next((each for each in findings if not each.path), None)
    return Verdict(
        client_id if isinstance(client_id, str) else None,
        tuple(_seen(event, root) for event in events),
        (unparsed,) if unparsed else findings,
        enforced=root.get("validation_behavior") == "ENFORCE_RECOMMENDATIONS",
    )


def _request(root: _Object, now: int) -> Iterator[Finding]:
    for name in [*(name for name in root if name not in _FIELDS), *root.repeated]:
        yield _unparsed(f"{name}: {'Field given twice' if name in _FIELDS else 'Cannot find field'}.")
    yield from _client_id(root.get("client_id"))
    if root.get("validation_behavior", "RELAXED") not in ("RELAXED", "ENFORCE_RECOMMENDATIONS"):
        yield _unparsed(f"validation_behavior: invalid value [{_short(root['validation_behavior'])}].")
    yield from _timestamp(root, now, "", "Measurement", None)
    yield from _user_properties(root.get("user_properties", _Object()))
    yield from _user_location(root.get("user_location", _Object()))
    match root.get("events"):
        case None | []:
            yield _reject("VALUE_REQUIRED", "events", "Measurement requires at least one event.")
        case list() as events if len(events) > MAX_EVENTS:
            text = f"Measurement has [{len(events)}] events. At most [{MAX_EVENTS}] are allowed."
            yield _reject("EXCEEDED_MAX_ENTITIES", "events", text)
        case list() as events:
            for index, event in enumerate(events):
                if isinstance(event, _Object):
                    yield from _event(event, index, now)
                else:
                    yield _unparsed(f"(events[{index}]): Expected an object.")
        case _:
            yield _unparsed("events: Expected an array.")


def _client_id(client_id: object) -> Iterator[Finding]:
    if client_id is None or client_id == "":
        yield _reject("VALUE_REQUIRED", "client_id", "Measurement requires a client_id.")
    elif not isinstance(client_id, str):
        yield _unparsed("client_id: Expected a string.")
    elif not _CLIENT_ID.fullmatch(client_id):
        text = f"client_id [{_short(client_id)}] has invalid format. It should be in <number>.<number> format."
        yield Finding(Level.RECOMMENDATION, "VALUE_INVALID", "client_id", text)


def _event(event: _Object, index: int, now: int) -> Iterator[Finding]:
    for field in event:
        if field not in _EVENT_FIELDS:
            yield _unparsed(f"(events[{index}]) {field}: Cannot find field.")
    subject = f"Event at index: [{index}]"
    yield from _timestamp(event, now, f"events[{index}].", subject, index)
    name = event.get("name")
    if name is None or name == "":
        yield _reject("VALUE_REQUIRED", "events", f"{subject} requires a name.", index)
    elif not isinstance(name, str):
        yield _unparsed(f"(events[{index}]) name: Expected a string.")
    elif problem := name_problem(Kind.EVENT, name):
        yield _reject(problem.code, "events", f"{subject} has invalid name [{_short(name)}]. {problem.text}", index)
    params = event.get("params", _Object())
    if not isinstance(params, _Object):
        yield _unparsed(f"(events[{index}]) params: Expected an object.")
        return
    if len(params) > MAX_PARAMS:
        text = f"{subject} has [{len(params)}] params. At most [{MAX_PARAMS}] are allowed."
        yield _reject("EXCEEDED_MAX_ENTITIES", f"events[{index}].params", text, index)
        return
    for repeated in params.repeated:
        yield _reject("NAME_DUPLICATED", "events", f"{subject} has param [{_short(repeated)}] more than once.", index)
    for param, value in params.items():
        yield from _param(param, value, subject, index)
    yield from _session(params, subject, index)


def _param(name: str, value: object, subject: str, index: int) -> Iterator[Finding]:
    path = f"events[{index}].params.{name[:40]}"
    if problem := name_problem(Kind.PARAM, name):
        yield _reject(problem.code, path, f"{subject} has invalid param name [{_short(name)}]. {problem.text}", index)
    subject = f"{subject} has param [{_short(name)}]"
    match value:
        case bool():
            text = f'{subject} with a boolean. Booleans are unreliable; send "true" or "false".'
            yield Finding(Level.RECOMMENDATION, "VALUE_INVALID", path, text, index)
        case str() if len(value) > MAX_VALUE:
            text = f"{subject} with a value of [{len(value)}] characters. At most [{MAX_VALUE}] are allowed."
            yield _reject("VALUE_OUT_OF_BOUNDS", path, text, index)
        case float() if not math.isfinite(value):
            yield _reject("VALUE_INVALID", path, f"{subject} with a number that is not finite.", index)
        case list() if name == "items" and all(isinstance(item, _Object) for item in value):
            if len(value) > MAX_ITEMS:
                text = f"{subject} with [{len(value)}] items. At most [{MAX_ITEMS}] are allowed."
                yield _reject("EXCEEDED_MAX_ENTITIES", path, text, index)
        case None | list() | dict():
            what = {type(None): "null", list: "an array"}.get(type(value), "an object")
            yield _reject("VALUE_INVALID", path, f"{subject} with {what}. Send a string or a number.", index)


def _session(params: _Object, subject: str, index: int) -> Iterator[Finding]:
    """The two params without which an event is taken and then missing from Realtime and active users."""
    for name in ("session_id", "engagement_time_msec"):
        if name not in params:
            text = f"{subject} has no [{name}]. It will not show in Realtime, and its user not as active."
            yield Finding(Level.HINT, "VALUE_REQUIRED", f"events[{index}].params.{name}", text, index)
    session = params.get("session_id", 0)
    if isinstance(session, bool | float) or not _SESSION_ID.fullmatch(str(session)):
        text = f"{subject} has session_id [{_short(session)}]. It should consist of digits."
        yield Finding(Level.RECOMMENDATION, "VALUE_INVALID", f"events[{index}].params.session_id", text, index)
    engagement = _number(params.get("engagement_time_msec", 1))
    if engagement is None or engagement < 1:
        text = f"{subject} has an engagement_time_msec that is not a number of at least 1."
        path = f"events[{index}].params.engagement_time_msec"
        yield Finding(Level.RECOMMENDATION, "VALUE_INVALID", path, text, index)


def _timestamp(holder: _Object, now: int, prefix: str, subject: str, index: int | None) -> Iterator[Finding]:
    if "timestamp_micros" not in holder:
        return
    path = f"{prefix}timestamp_micros"
    micros = _micros(holder["timestamp_micros"])
    if micros is None:
        yield _reject("VALUE_INVALID", path, f"{subject} has a timestamp_micros that is not a whole number.", index)
    elif micros < now - OLDEST:
        text = f"{subject} has timestamp_micros [{micros}], more than 72 hours ago. It counts as 72 hours old."
        yield Finding(Level.RECOMMENDATION, "VALUE_INVALID", path, text, index)
    elif micros > now + CLOCK_SKEW:
        text = f"{subject} has timestamp_micros [{micros}], in the future."
        yield Finding(Level.RECOMMENDATION, "VALUE_INVALID", path, text, index)


def _user_properties(properties: object) -> Iterator[Finding]:
    if not isinstance(properties, _Object):
        yield _unparsed("user_properties: Expected an object.")
        return
    if len(properties) > MAX_PROPERTIES:
        text = f"Measurement has [{len(properties)}] user properties. At most [{MAX_PROPERTIES}] are allowed."
        yield _reject("EXCEEDED_MAX_ENTITIES", "user_properties", text)
        return
    for name in properties.repeated:
        yield _reject("NAME_DUPLICATED", "user_properties", f"User property [{_short(name)}] is given more than once.")
    for name, holder in properties.items():
        path = f"user_properties.{name[:40]}"
        if problem := name_problem(Kind.USER_PROPERTY, name):
            yield _reject(problem.code, path, f"User property has invalid name [{_short(name)}]. {problem.text}")
        value = holder.get("value") if isinstance(holder, _Object) else None
        if not isinstance(value, str | int | float):
            yield _reject("VALUE_INVALID", path, f"User property [{_short(name)}] has no usable value.")
        elif isinstance(value, str) and len(value) > MAX_PROPERTY_VALUE:
            text = f"User property [{_short(name)}] has a value of more than [{MAX_PROPERTY_VALUE}] characters."
            yield _reject("VALUE_OUT_OF_BOUNDS", path, text)


def _user_location(location: object) -> Iterator[Finding]:
    if not isinstance(location, _Object):
        yield _unparsed("user_location: Expected an object.")
        return
    for name, value in location.items():
        if name not in _LOCATION:
            yield _unparsed(f"(user_location) {name}: Cannot find field.")
        elif not isinstance(value, str) or not _LOCATION[name].fullmatch(value):
            text = f"user_location has invalid {name} [{_short(value)}]."
            yield Finding(Level.RECOMMENDATION, "VALUE_INVALID", f"user_location.{name}", text)


def _reject(code: str, path: str, text: str, event: int | None = None) -> Finding:
    return Finding(Level.REJECT, code, path, text, event)


def _unparsed(detail: str) -> Finding:
    """The payload is no measurement at all; the validation server names no field then."""
    text = f"Unable to parse Measurement Protocol JSON payload. {detail}"
    return Finding(Level.REJECT, "VALUE_INVALID", "", text)


def _seen(event: _Object, root: _Object) -> Seen:
    name, params = event.get("name"), event.get("params")
    stamp = _micros(event.get("timestamp_micros", root.get("timestamp_micros")))
    return Seen(name if isinstance(name, str) else None, params if isinstance(params, _Object) else {}, stamp)


def _object(pairs: Sequence[tuple[str, object]]) -> _Object:
    whole = _Object(pairs)
    if len(whole) < len(pairs):
        whole.repeated = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return whole


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _why(error: Exception) -> str:
    return "Nested too deeply" if isinstance(error, RecursionError) else str(error)


def _number(value: object) -> float | None:
    """A number, or a string that holds one: GA4 takes both for its own numeric params."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _micros(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
