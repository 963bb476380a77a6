"""The rules by which GA4 takes or drops what arrives, in the words of its validation server.

Sources: Measurement Protocol (GA4) reference, "Sending events" (limits, reserved names) and "Validating events" (codes,
texts). Numbers and reserved names are those of bridge.delivery.limits; the checks are not. Two readings of the same
pages check each other, and a rule that the sender misreads shows as a rejected event here.

Where Google publishes a text it is used as it is; the others are in its style. What follows from a broken rule is in
verdict.py.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from bridge.delivery.limits import EVENTS_PER_REQUEST, PARAMS_PER_EVENT, VALUE_LENGTH
from bridge.emulator.names import EVENT, PARAM, USER_PROPERTY, Kind, name_problem
from bridge.emulator.verdict import Finding, JudgedEvent, Level, Verdict
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

_T = TypeVar("_T")

_BODY_BYTES: Final = 130_000
"""GA4's own limit; the sender stays well below it."""
_ITEMS: Final = 200
_USER_PROPERTIES: Final = 25
_OLDEST: Final = 72 * 3600 * MICROSECONDS
"""What is older counts as 72 hours old, or is dropped."""
_CLOCK_SKEW: Final = 60 * MICROSECONDS
"""By which a sender's clock may be ahead."""

_FIELDS: Final = frozenset(
    """
    app_instance_id client_id consent device events ip_override non_personalized_ads timestamp_micros user_agent
    user_data user_id user_location user_properties validation_behavior
    """.split()
)
_EVENT_FIELDS: Final = frozenset({"name", "params", "timestamp_micros"})
_CLIENT_ID: Final = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{1,100}", re.ASCII)
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


_EXPECTED: Final[dict[type[object], str]] = {_Object: "an object", list: "an array", str: "a string"}


class _Unparsed(Exception):
    """The payload is no measurement. Like GA4's, the parser stops at the first field that it cannot read."""


def judge(body: bytes, now: int) -> Verdict:
    """Judge the body of a request.

    Args:
        body: as it arrived.
        now: microseconds since 1970.
    """
    root = _Object()
    of_events: list[list[Finding]] = []
    try:
        if len(body) < _BODY_BYTES:
            root = _parse(body)
            of_request = list(_request(root, now))
            first = _events(root)[:EVENTS_PER_REQUEST]
            of_events = [list(_event(event, index, now)) for index, event in enumerate(first)]
        else:
            text = f"The payload has [{len(body)}] bytes. It must be under 130 kB."
            of_request = [_reject("VALUE_OUT_OF_BOUNDS", "", text)]
    except _Unparsed as error:  # the validation server names no field then
        of_request = [_reject("VALUE_INVALID", "", f"Unable to parse Measurement Protocol JSON payload. {error}")]
    enforced = root.get("validation_behavior") == "ENFORCE_RECOMMENDATIONS"
    fatal = {Level.REJECT, Level.RECOMMENDATION} if enforced else {Level.REJECT}
    client_id, listed = root.get("client_id"), root.get("events")
    events = [event for event in listed if isinstance(event, _Object)] if isinstance(listed, list) else []
    events = events or [_Object()]
    of_events += [[]] * (len(events) - len(of_events))  # those that no rule looked at
    return Verdict(
        client_id if isinstance(client_id, str) else None,
        tuple(
            _judged(event, root, [*of_request, *findings], fatal)
            for event, findings in zip(events, of_events, strict=True)
        ),
        tuple(each.message() for findings in (of_request, *of_events) for each in findings if each.level in fatal),
    )


def _judged(event: _Object, root: _Object, findings: Iterable[Finding], fatal: Container[Level]) -> JudgedEvent:
    name, params = event.get("name"), event.get("params")
    return JudgedEvent(
        name if isinstance(name, str) else None,
        params if isinstance(params, _Object) else {},
        _whole(event.get("timestamp_micros", root.get("timestamp_micros"))),
        tuple(str(each) for each in findings if each.level in fatal),
        tuple(str(each) for each in findings if each.level not in fatal),
    )


def _request(root: _Object, now: int) -> Iterator[Finding]:
    _refuse_unknown(root, _FIELDS, "")
    client_id = root.get("client_id")
    if client_id is None or client_id == "":
        yield _reject("VALUE_REQUIRED", "client_id", "Measurement requires a client_id.")
    elif not _CLIENT_ID.fullmatch(_read(client_id, str, "client_id")):
        text = f"client_id [{_short(client_id)}] has invalid format. It should be in <number>.<number> format."
        yield _recommend("client_id", text)
    behavior = root.get("validation_behavior", "RELAXED")
    if behavior not in ("RELAXED", "ENFORCE_RECOMMENDATIONS"):
        raise _Unparsed(f"validation_behavior: invalid value [{_short(behavior)}].")
    yield from _timestamp(root, now, "", "Measurement")
    properties = _read(root.get("user_properties", _Object()), _Object, "user_properties")
    for name, holder in properties.items():
        properties[name] = holder.get("value") if isinstance(holder, _Object) else None
    yield from _values(USER_PROPERTY, properties, _USER_PROPERTIES, "user_properties", "Measurement")
    yield from _user_location(_read(root.get("user_location", _Object()), _Object, "user_location"))
    events = _events(root)
    if not events:
        yield _reject("VALUE_REQUIRED", "events", "Measurement requires at least one event.")
    elif len(events) > EVENTS_PER_REQUEST:
        yield _too_many("events", "Measurement", len(events), "events", EVENTS_PER_REQUEST)


def _events(root: _Object) -> list[object]:
    events = root.get("events")
    return [] if events is None else _read(events, list, "events")


def _event(value: object, index: int, now: int) -> Iterator[Finding]:
    event = _read(value, _Object, f"(events[{index}])")
    _refuse_unknown(event, _EVENT_FIELDS, f"(events[{index}]) ")
    subject, path = f"Event at index: [{index}]", f"events[{index}]."
    yield from _timestamp(event, now, path, subject)
    name = event.get("name")
    if name is None or name == "":
        yield _reject("VALUE_REQUIRED", "events", f"{subject} requires a name.")
    else:
        yield from _name(EVENT, _read(name, str, f"(events[{index}]) name"), "events", subject)
    params = _read(event.get("params", _Object()), _Object, f"(events[{index}]) params")
    yield from _values(PARAM, params, PARAMS_PER_EVENT, f"{path}params", subject)
    for field, least in (("session_id", 0), ("engagement_time_msec", 1)):
        if field not in params:  # it is taken, and then missing from Realtime and active users
            text = f"{subject} has no [{field}]. It will not show in Realtime, and its user not as active."
            yield Finding(Level.HINT, "VALUE_REQUIRED", f"{path}params.{field}", text)
        elif (number := _whole(params[field])) is None or number < least:
            text = f"{subject} has {field} [{_short(params[field])}]. It should be a whole number, at least [{least}]."
            yield _recommend(f"{path}params.{field}", text)


def _values(kind: Kind, values: _Object, most: int, path: str, subject: str) -> Iterator[Finding]:
    """The params of an event, or the user properties."""
    if len(values) > most:
        yield _too_many(path, subject, len(values), f"{kind.word}s", most)
        return
    for name in values.repeated:
        yield _reject("NAME_DUPLICATED", path, f"{subject} has {kind.word} [{_short(name)}] more than once.")
    for name, value in values.items():
        yield from _name(kind, name, f"{path}.{name[:40]}", subject)
        yield from _value(kind, value, f"{path}.{name[:40]}", f"{subject} has {kind.word} [{_short(name)}]")


def _name(kind: Kind, name: str, path: str, subject: str) -> Iterator[Finding]:
    if problem := name_problem(kind, name):
        code, text = problem
        what = "name" if kind is EVENT else f"{kind.word} name"
        yield _reject(code, path, f"{subject} has invalid {what} [{_short(name)}]. {text}")


def _value(kind: Kind, value: object, path: str, subject: str) -> Iterator[Finding]:
    match value:
        case bool():
            yield _recommend(path, f'{subject} with a boolean. Booleans are unreliable; send "true" or "false".')
        case str() if len(value) > kind.value_length:
            text = f"{subject} with a value of [{len(value)}] characters. At most [{kind.value_length}] are allowed."
            yield _reject("VALUE_OUT_OF_BOUNDS", path, text)
        case float() if not math.isfinite(value):
            yield _reject("VALUE_INVALID", path, f"{subject} with a number that is not finite.")
        case list() if path.endswith(".params.items") and all(isinstance(item, _Object) for item in value):
            if len(value) > _ITEMS:
                yield _too_many(path, subject, len(value), "items", _ITEMS)
        case None | list() | dict():
            what = {type(None): "null", list: "an array"}.get(type(value), "an object")
            yield _reject("VALUE_INVALID", path, f"{subject} with {what}. Send a string or a number.")


def _timestamp(holder: _Object, now: int, prefix: str, subject: str) -> Iterator[Finding]:
    if "timestamp_micros" not in holder:
        return
    path = f"{prefix}timestamp_micros"
    micros = _whole(holder["timestamp_micros"])
    if micros is None:
        yield _reject("VALUE_INVALID", path, f"{subject} has a timestamp_micros that is not a whole number.")
    elif micros < now - _OLDEST:
        text = f"{subject} has timestamp_micros [{micros}], more than 72 hours ago. It counts as 72 hours old."
        yield _recommend(path, text)
    elif micros > now + _CLOCK_SKEW:
        yield _recommend(path, f"{subject} has timestamp_micros [{micros}], in the future.")


def _user_location(location: _Object) -> Iterator[Finding]:
    _refuse_unknown(location, _LOCATION, "(user_location) ")
    for name, value in location.items():
        if not isinstance(value, str) or not _LOCATION[name].fullmatch(value):
            yield _recommend(f"user_location.{name}", f"user_location has invalid {name} [{_short(value)}].")


def _reject(code: str, path: str, text: str) -> Finding:
    return Finding(Level.REJECT, code, path, text)


def _recommend(path: str, text: str) -> Finding:
    return Finding(Level.RECOMMENDATION, "VALUE_INVALID", path, text)


def _too_many(path: str, subject: str, count: int, what: str, most: int) -> Finding:
    return _reject("EXCEEDED_MAX_ENTITIES", path, f"{subject} has [{count}] {what}. At most [{most}] are allowed.")


def _parse(body: bytes) -> _Object:
    try:
        root = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except ValueError as error:
        raise _Unparsed(f"{error}.") from error
    except RecursionError as error:
        raise _Unparsed("Nested too deeply.") from error
    return _read(root, _Object, "payload")


def _object(pairs: Sequence[tuple[str, object]]) -> _Object:
    whole = _Object(pairs)
    if len(whole) < len(pairs):
        whole.repeated = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return whole


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _read(value: object, kind: type[_T], field: str) -> _T:
    if not isinstance(value, kind):
        raise _Unparsed(f"{field}: Expected {_EXPECTED[kind]}.")
    return value


def _refuse_unknown(holder: _Object, known: Container[str], where: str) -> None:
    for name in holder:
        if name not in known:
            raise _Unparsed(f"{where}{name}: Cannot find field.")
    for name in holder.repeated:
        raise _Unparsed(f"{where}{name}: Field given twice.")


def _whole(value: object) -> int | None:
    """A whole number, or a string that holds one: Google's own event builder writes timestamps so."""
    match value:
        case bool():
            return None
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if _DIGITS.fullmatch(value):
            return int(value)
    return None


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}…"
