"""The Google Analytics Admin API: accounts, properties and streams, custom definitions, retention.

Source: developers.google.com/analytics/devguides/config/admin/v1/rest (v1beta). Nothing is archived or changed here:
archiving cannot be undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from bridge.google.api import ADMIN
from bridge.google.definitions import Definition, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.google.api import Api

_T = TypeVar("_T")

_PAGE_SIZE: Final = "200"
_EVENT: Final = "EVENT"
_COLLECTIONS: Final[dict[Kind, str]] = {"dimension": "customDimensions", "metric": "customMetrics"}


class _Summary(msgspec.Struct, rename="camel"):
    property: str
    display_name: str = ""


class _Account(msgspec.Struct, rename="camel"):
    display_name: str = ""
    property_summaries: list[_Summary] = []


class _WebStream(msgspec.Struct, rename="camel"):
    measurement_id: str = ""


class _Stream(msgspec.Struct, rename="camel"):
    name: str
    web_stream_data: _WebStream | None = None


class _Definition(msgspec.Struct, rename="camel"):
    parameter_name: str
    scope: str = ""
    display_name: str = ""
    description: str = ""
    measurement_unit: str | None = None


class _Retention(msgspec.Struct, rename="camel"):
    user_data_retention: str = ""


@dataclass(frozen=True, slots=True)
class Property:
    """A GA4 property, by its number."""

    id: str
    name: str
    account: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A web stream, and the property that it belongs to."""

    measurement_id: str
    id: str
    property_id: str


async def properties(api: Api) -> tuple[Property, ...]:
    """Every property that the credentials may see."""
    return tuple(
        [
            Property(each.property.rpartition("/")[2], each.display_name, account.display_name)
            async for account in _every(api, "accountSummaries", _Account)
            for each in account.property_summaries
        ]
    )


async def streams(api: Api, property_id: str) -> tuple[Stream, ...]:
    """The web streams of a property."""
    return tuple(
        [
            Stream(each.web_stream_data.measurement_id, each.name.rpartition("/")[2], property_id)
            async for each in _every(api, f"properties/{property_id}/dataStreams", _Stream)
            if each.web_stream_data
        ]
    )


async def definitions(api: Api, property_id: str) -> tuple[Definition, ...]:
    """The custom definitions of events that a property has; archived ones are not among them."""
    return tuple(
        [
            Definition(kind, each.parameter_name, each.display_name, each.description, each.measurement_unit)
            for kind, collection in _COLLECTIONS.items()
            async for each in _every(api, f"properties/{property_id}/{collection}", _Definition)
            if each.scope == _EVENT
        ]
    )


async def create(api: Api, property_id: str, wanted: Definition) -> None:
    """Make a custom definition.

    Raises:
        AlreadyThere: somebody else was faster.
    """
    body = {
        "parameterName": wanted.parameter,
        "displayName": wanted.display_name,
        "description": wanted.description,
        "scope": _EVENT,
        **({"measurementUnit": wanted.unit} if wanted.unit else {}),
    }
    await api.post(ADMIN, f"properties/{property_id}/{_COLLECTIONS[wanted.kind]}", body, _Definition)


async def user_data_retention(api: Api, property_id: str) -> str:
    """How long explorations reach back, as TWO_MONTHS."""
    path = f"properties/{property_id}/dataRetentionSettings"
    return (await api.get(ADMIN, path, _Retention, {})).user_data_retention


async def _every(api: Api, path: str, kind: type[_T]) -> AsyncIterator[_T]:
    """The resources of all pages; the list is called as the last part of its path."""
    query = {"pageSize": _PAGE_SIZE}
    while True:
        page = await api.get(ADMIN, path, dict[str, msgspec.Raw], query)
        for each in msgspec.json.decode(page.get(path.rpartition("/")[2], b"[]"), type=list[kind]):  # type: ignore[valid-type]
            yield each
        token = msgspec.json.decode(page.get("nextPageToken", b'""'), type=str)
        if not token:
            return
        query["pageToken"] = token
