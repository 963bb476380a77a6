"""The Analytics Admin API v1beta: accounts, streams, custom definitions (list and create) and retention.

Source: developers.google.com/analytics/devguides/config/admin/v1/rest/v1beta
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from bridge.emulator.ga_property import Definition
from bridge.emulator.google_json import Refusal, decode, error_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.emulator.ga_property import GaProperty

_PAGE: Final = 20
"""Fewer than Google gives, as it may give fewer than it is asked for: whoever reads one page only shows."""
_LARGEST_PAGE: Final = 200
_MOST: Final = {("customDimensions", "EVENT"): 50, ("customDimensions", "USER"): 25, ("customDimensions", "ITEM"): 10}
"""Of a standard property."""
_MOST_METRICS: Final = 50
_PARAMETER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LENGTHS: Final = {"USER": 24}
_LENGTH: Final = 40

_DisplayName = Annotated[str, msgspec.Meta(max_length=82, pattern=r"^[A-Za-z][A-Za-z0-9_ ]*$")]
_Unit = Literal[
    "STANDARD", "CURRENCY", "FEET", "METERS", "KILOMETERS", "MILES", "MILLISECONDS", "SECONDS", "MINUTES", "HOURS"
]
_Description = Annotated[str, msgspec.Meta(max_length=150)]


class _Dimension(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    parameter_name: str
    display_name: _DisplayName
    scope: Literal["EVENT", "USER", "ITEM"]
    description: _Description = ""
    disallow_ads_personalization: bool = False


class _Metric(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    parameter_name: str
    display_name: _DisplayName
    scope: Literal["EVENT"]
    measurement_unit: _Unit
    description: _Description = ""
    restricted_metric_type: list[Literal["COST_DATA", "REVENUE_DATA"]] = []


def account_summaries(properties: Iterable[GaProperty], query: Mapping[str, str]) -> dict[str, object]:
    """`accountSummaries`: every account that the caller has a role in, with its properties."""
    summaries = [
        {
            "name": f"accountSummaries/{each.account}",
            "account": f"accounts/{each.account}",
            "displayName": f"Account {each.account}",
            "propertySummaries": [
                {
                    "property": f"properties/{each.id}",
                    "displayName": each.display_name,
                    "propertyType": "PROPERTY_TYPE_ORDINARY",
                    "parent": f"accounts/{each.account}",
                }
            ],
        }
        for each in properties
    ]
    return _page("accountSummaries", summaries, query)


def data_streams(place: GaProperty, query: Mapping[str, str]) -> dict[str, object]:
    """`dataStreams`: the web stream."""
    stream = {
        "name": f"properties/{place.id}/dataStreams/{place.stream}",
        "type": "WEB_DATA_STREAM",
        "displayName": "MongooseIM",
        "webStreamData": {"measurementId": place.measurement_id, "defaultUri": "https://example.com"},
    }
    return _page("dataStreams", [stream], query)


def retention(place: GaProperty) -> dict[str, object]:
    """`dataRetentionSettings`."""
    return {
        "name": f"properties/{place.id}/dataRetentionSettings",
        "eventDataRetention": "TWO_MONTHS",
        "userDataRetention": place.user_data_retention,
    }


def definitions(place: GaProperty, kind: str, query: Mapping[str, str]) -> dict[str, object]:
    """A list of custom definitions."""
    return _page(kind, [each.resource for each in place.definitions[kind].values()], query)


def create(place: GaProperty, kind: str, body: bytes, now: float) -> Mapping[str, object]:
    """Register a custom definition.

    Raises:
        Refusal: 409 where there is one already, 400 where it breaks a rule or there is no room.
    """
    wanted = decode(body, _Dimension) if kind == "customDimensions" else decode(body, _Metric)
    name, scope, known = wanted.parameter_name, wanted.scope, place.definitions[kind]
    if not _PARAMETER.fullmatch(name) or len(name) > _LENGTHS.get(scope, _LENGTH):
        raise Refusal(400, f"The parameter_name {name!r} is invalid.")
    if isinstance(wanted, _Metric) and bool(wanted.restricted_metric_type) != (wanted.measurement_unit == "CURRENCY"):
        raise Refusal(400, "restricted_metric_type is required for CURRENCY and for nothing else.")
    if (scope, name) in known:
        raise Refusal(409, "Requested entity already exists")
    if sum(scope == each for each, _ in known) >= _MOST.get((kind, scope), _MOST_METRICS):
        text = f"The property has as many {kind} of scope {scope} as it may have."
        raise Refusal(400, text, error_info("RESOURCE_LIMIT"))
    resource = {
        "name": f"properties/{place.id}/{kind}/{3001 + sum(map(len, place.definitions.values()))}",
        **msgspec.to_builtins(wanted),
    }
    known[scope, name] = Definition(now, resource)
    return resource


def _page(name: str, every: Sequence[object], query: Mapping[str, str]) -> dict[str, object]:
    """The page that a query asks for; its token is where it begins."""
    try:
        start, size = int(query.get("pageToken") or 0), int(query.get("pageSize") or _PAGE)
    except ValueError:
        raise Refusal(400, "pageSize or pageToken is invalid.") from None
    if size < 0 or start < 0:
        raise Refusal(400, "pageSize or pageToken is invalid.")
    end = start + min(size, _PAGE, _LARGEST_PAGE)
    more: dict[str, object] = {"nextPageToken": str(end)} if end < len(every) else {}
    return {name: every[start:end], **more}
