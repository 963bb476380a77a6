"""The JSON of every `--format json`: what scripts may rely on; docs/json.md explains it and `schema` prints it.

A field is added without a new `SCHEMA_VERSION`; one that is removed or means something else makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from datetime import date  # noqa: TC003 - the same
from typing import Final, Literal, TypeVar, final

import click
import msgspec
from msgspec import Struct

from bridge.times import rfc3339

SCHEMA_VERSION: Final = 1
Scalar = str | int | float
Setting = bool | int | str | tuple[str, ...] | None
_ShapeT = TypeVar("_ShapeT", bound="Shape")


@final
class Time:
    """A time of day, from microseconds since 1970; RFC 3339 in UTC as JSON."""

    __slots__ = ("microseconds",)

    def __init__(self, microseconds: int) -> None:
        self.microseconds = microseconds


class Shape(Struct):
    """An object in the JSON; its fields are those of the value that it shows."""


class Document(Shape, tag_field="schema_version", tag=SCHEMA_VERSION):
    """What a command prints; all have `schema_version`."""


class Note(Shape):
    """Something that the operator should know about a report."""

    kind: str
    about: str
    what: str
    remedy: str


class Event(Shape):
    """An event as GA4 gets it, but for session_id and engagement_time_msec."""

    name: str
    params: Mapping[str, Scalar]


class Deliveries(Shape):
    """What became of events at a destination while `report` ran, and what is left of all reports."""

    name: str
    delivered: int
    queued: int
    rejected: int
    dropped: int
    error: str | None


class ReportResult(Document):
    """`report`."""

    report: int
    collected_at: Time
    events: int
    nodes: tuple[str, ...]
    json_log: str
    notes: tuple[Note, ...]
    destinations: tuple[Deliveries, ...]


class Preview(Document):
    """`preview`."""

    reporting: bool
    reason: str
    destinations: tuple[str, ...]
    client_id: str | None
    notes: tuple[Note, ...]
    events: tuple[Event, ...]


class NodeRow(Shape):
    """A node of the cluster."""

    node: str
    state: Literal["up", "not asked", "missing"]
    mongooseim: str | None = None
    otp: str | None = None
    uptime_seconds: int | None = None
    sees_nodes: int | None = None
    missing_since: Time | None = None
    reason: str = ""


class Nodes(Document):
    """`nodes`."""

    nodes: tuple[NodeRow, ...]


class Step(Shape):
    """A step of the doctor's."""

    section: Literal["configuration", "cluster", "delivery"]
    subject: str
    step: str
    state: Literal["ok", "warning", "failure", "skipped"]
    found: str
    advice: str


class Doctor(Document):
    """`doctor`."""

    steps: tuple[Step, ...]


class Service(Shape):
    """The running service."""

    version: str
    started_at: Time
    seen_at: Time
    period: float
    consent: str
    notice: bool
    next_report_at: Time | None
    reports: int
    failures: int
    error: str | None
    last_duration: float | None


class Processing(Shape):
    """What became of delivered events, as their destination says."""

    processed: int
    failed: int
    unknown: int
    reason: str | None


class Delivery(Shape):
    """What became of a report at a destination."""

    destination: str
    id: str
    events: int
    delivered: int
    rejected: int
    dropped: int
    queued: int
    settled_at: Time | None
    error: str | None
    processing: Processing | None


class Report(Shape):
    """A past report without its events."""

    id: int
    collected_at: Time
    published_at: Time | None
    client_id: str
    events: int
    nodes: tuple[str, ...]
    notes: tuple[Note, ...]
    deliveries: tuple[Delivery, ...]


class Node(Shape):
    """A node that is or was a member."""

    name: str
    version: str | None
    seen_at: Time | None
    missing_since: Time | None
    reason: str | None


class Destination(Shape):
    """A destination, configured now or once."""

    id: str
    name: str
    configured: bool
    queued_batches: int
    queued_events: int
    queued_bytes: int
    oldest: Time | None
    counters: Mapping[str, int]
    last_at: Mapping[str, Time]
    failing_since: Time | None
    failures: int
    error: str | None
    error_at: Time | None
    retry_at: Time | None
    processing: Processing | None


class Status(Document):
    """`status`."""

    reporting: bool
    reason: str
    agreed: int
    now: Time
    service: Service | None
    reports: tuple[Report, ...]
    nodes: tuple[Node, ...]
    destinations: tuple[Destination, ...]


class History(Document):
    """`history`."""

    reports: tuple[Report, ...]


class DeadLetter(Shape):
    """A batch that a destination refused for good, or that was given up."""

    destination: str
    id: str
    first: int
    events: int
    reason: str
    at: Time


class PastReport(Document):
    """`history show`."""

    report: Report
    events: tuple[Event, ...]
    dead_letters: tuple[DeadLetter, ...]


class Change(Shape):
    """Events of one name and subject that differ between two reports."""

    event: str
    subject: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    moving: bool


class ReportDifference(Document):
    """`history diff`."""

    before: int
    after: int
    joined: tuple[str, ...]
    left: tuple[str, ...]
    changes: tuple[Change, ...]


class Fact(Shape):
    """A param that can be reported, with what it means."""

    event: str
    param: str
    meaning: str


class Consent(Document):
    """`consent`."""

    reporting: bool
    reason: str
    contract: int
    agreed: int
    held: bool
    new: tuple[Fact, ...]


class Objection(Shape):
    """An objection of the validator's."""

    event: int | None
    name: str | None
    field: str
    code: str
    description: str


class Judged(Shape):
    """What the validator behind a destination said."""

    destination: str
    requests: int
    error: str | None
    messages: tuple[Objection, ...]


class Validation(Document):
    """`validate`."""

    destinations: tuple[Judged, ...]


class Difference(Shape):
    """An event or param as both reporters have it."""

    event: str
    own: str
    ours: str
    times: int
    verdict: str


class Comparison(Document):
    """`compare`."""

    rows: tuple[Difference, ...]


class Definition(Shape):
    """A custom definition that GA4's reports need."""

    kind: Literal["dimension", "metric"]
    parameter: str
    display_name: str
    description: str
    unit: str | None
    present: bool | None = None
    differences: tuple[str, ...] = ()


class Property(Shape):
    """A GA4 property and what it needs; without credentials only what any property needs."""

    property: str | None
    definitions: tuple[Definition, ...]
    free_slots: Mapping[str, int] | None = None
    user_data_retention: str | None = None


class Ga4Setup(Document):
    """`ga4 setup`."""

    properties: tuple[Property, ...]


class Verdict(Shape):
    """What a property has counted of what a destination was sent in some time."""

    destination: str
    period: Literal["last 30 minutes", "before that"]
    word: Literal["processed", "partly", "nothing", "cannot be told yet", "nothing to tell"]
    delivered: int
    counted: int
    missing: Mapping[str, int]
    overdue: bool
    why: str
    remedy: str


class Ga4Verify(Document):
    """`ga4 verify`."""

    verdicts: tuple[Verdict, ...]


class ModuleCount(Shape):
    """Events of a module with a backend."""

    property: str
    module: str
    backend: str
    events: int


class Caveat(Shape):
    """What has to be known about the numbers of a property."""

    property: str
    caveat: str


class Ga4Report(Document):
    """`ga4 report`."""

    rows: tuple[ModuleCount, ...]
    caveats: tuple[Caveat, ...]


class Place(Shape):
    """Where a measurement id belongs."""

    measurement_id: str
    property: str | None
    name: str | None
    stream: str | None
    account: str | None


class Ga4Find(Document):
    """`ga4 find`."""

    places: tuple[Place, ...]


class Problem(Shape):
    """A problem of the configuration."""

    where: str
    key: str
    what: str
    remedy: str


class ConfigCheck(Document):
    """`config check`."""

    problems: tuple[Problem, ...]


class SettingRow(Shape):
    """A setting as it is used."""

    key: str
    value: Setting
    origin: str
    variable: str


class ConfigShow(Document):
    """`config show`."""

    reporting: bool
    reason: str
    settings: tuple[SettingRow, ...]


class Listening(Document):
    """First line of `ga4-emulator`; the others are those of its record."""

    listening: str
    page: str


class FleetAnswers(Document):
    """`fleet`: rows by question; docs/fleet.md has the columns of each."""

    first: date
    last: date
    k: int
    answers: Mapping[str, tuple[Mapping[str, Scalar | None], ...]]


DOCUMENTS: Final[Mapping[str, type[Document]]] = {
    "report": ReportResult,
    "preview": Preview,
    "nodes": Nodes,
    "doctor": Doctor,
    "status": Status,
    "history": History,
    "history show": PastReport,
    "history diff": ReportDifference,
    "consent": Consent,
    "validate": Validation,
    "compare": Comparison,
    "ga4 setup": Ga4Setup,
    "ga4 verify": Ga4Verify,
    "ga4 report": Ga4Report,
    "ga4 find": Ga4Find,
    "fleet": FleetAnswers,
    "config check": ConfigCheck,
    "config show": ConfigShow,
    "ga4-emulator": Listening,
}
"""What each command prints with `--format json`."""


def shaped(shape: type[_ShapeT], value: object = None, **more: object) -> _ShapeT:
    """A value in a shape.

    Args:
        shape: what it becomes.
        value: has the attributes that are the shape's fields.
        more: fields that the value does not have, or has otherwise.
    """
    fields = {name: more.get(name, getattr(value, name, None)) for name in shape.__struct_fields__}
    tag = {"schema_version": SCHEMA_VERSION} if issubclass(shape, Document) else {}
    return msgspec.convert({**tag, **fields}, shape, from_attributes=True, dec_hook=lambda _, number: Time(number))


def echo_json(document: Document, *, indent: int = 2) -> None:
    """Print a document."""
    encoded = msgspec.json.encode(document, enc_hook=lambda time: rfc3339(time.microseconds))
    click.echo(msgspec.json.format(encoded, indent=indent).decode())


def json_schema(shape: type[Shape]) -> dict[str, object]:
    """The JSON Schema (2020-12) of a document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(shape, schema_hook=lambda _: {"type": "string", "format": "date-time"}),
    }
