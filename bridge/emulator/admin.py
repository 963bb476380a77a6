"""The Analytics Admin API v1beta: accounts, streams, custom definitions of events (list and create) and retention.

Source: developers.google.com/analytics/devguides/config/admin/v1/rest/v1beta
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from bridge.emulator.ga_property import Definition
from bridge.emulator.google_json import Message, Refusal, decode, error_info

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.emulator.google_json import Call

_PAGE: Final = 20
"""Fewer than Google gives, as it may give fewer than it is asked for: whoever reads one page only shows."""
_MOST: Final = 50
"""Definitions of each kind that a standard property has."""

_Unit = Literal[
    "STANDARD", "CURRENCY", "FEET", "METERS", "KILOMETERS", "MILES", "MILLISECONDS", "SECONDS", "MINUTES", "HOURS"
]


class _Dimension(Message):
    parameter_name: Annotated[str, msgspec.Meta(max_length=40, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    display_name: Annotated[str, msgspec.Meta(max_length=82, pattern=r"^[A-Za-z][A-Za-z0-9_ ]*$")]
    scope: Literal["EVENT"]
    description: Annotated[str, msgspec.Meta(max_length=150)] = ""


class _Metric(_Dimension, kw_only=True):
    measurement_unit: _Unit


def account_summaries(call: Call) -> dict[str, object]:
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
        for each in call.properties.values()
    ]
    return _page("accountSummaries", summaries, call)


def data_streams(call: Call) -> dict[str, object]:
    """`dataStreams`: the web stream."""
    stream = {
        "name": f"properties/{call.place.id}/dataStreams/{call.place.stream}",
        "type": "WEB_DATA_STREAM",
        "displayName": "MongooseIM",
        "webStreamData": {"measurementId": call.place.measurement_id, "defaultUri": "https://example.com"},
    }
    return _page("dataStreams", [stream], call)


def retention(call: Call) -> dict[str, object]:
    """`dataRetentionSettings`."""
    return {
        "name": f"properties/{call.place.id}/dataRetentionSettings",
        "eventDataRetention": "TWO_MONTHS",
        "userDataRetention": call.place.user_data_retention,
    }


def definitions(kind: str, call: Call) -> dict[str, object]:
    """A list of custom definitions."""
    return _page(kind, [each.resource for each in call.place.definitions[kind].values()], call)


def create(kind: str, call: Call) -> Mapping[str, object]:
    """Register a custom definition.

    Raises:
        Refusal: 409 where there is one already, 400 where it breaks a rule or there is no room.
    """
    place, known = call.place, call.place.definitions[kind]
    wanted = decode(call.body, _Dimension if kind == "customDimensions" else _Metric)
    if wanted.parameter_name in known:
        raise Refusal(409, "Requested entity already exists")
    if len(known) >= _MOST:
        raise Refusal(400, f"The property has as many {kind} as it may have.", error_info("RESOURCE_LIMIT"))
    resource = {
        "name": f"properties/{place.id}/{kind}/{3001 + sum(map(len, place.definitions.values()))}",
        **msgspec.to_builtins(wanted),
    }
    known[wanted.parameter_name] = Definition(call.now, resource)
    return resource


def _page(name: str, every: Sequence[object], call: Call) -> dict[str, object]:
    """The page that a query asks for; its token is where it begins."""
    token = call.query.get("pageToken") or "0"
    if not token.isdecimal():
        raise Refusal(400, "pageToken is invalid.")
    end = int(token) + _PAGE
    more: dict[str, object] = {"nextPageToken": str(end)} if end < len(every) else {}
    return {name: every[int(token) : end], **more}
