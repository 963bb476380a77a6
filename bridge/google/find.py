"""Which property, and which stream of it, a measurement id belongs to: Google has no call for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.google import admin
from bridge.google.errors import GoogleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.google.admin import Property, Stream
    from bridge.google.api import Api


@dataclass(frozen=True, slots=True)
class Place:
    """Where a measurement id belongs; None where no property that the credentials may see has it."""

    measurement_id: str
    stream: Stream | None
    property: Property | None = None
    """None where the property was named and not looked for."""


async def find(api: Api, measurement_ids: Sequence[str], property_id: str | None = None) -> tuple[Place, ...]:
    """Find the stream of each measurement id.

    Args:
        api: reading suffices.
        measurement_ids: G-XXXX.
        property_id: looked at first, and alone if it has all of them: that saves walking through the accounts.

    Raises:
        GoogleError: Google cannot be asked.
    """
    found: dict[str, Place] = {}

    def take(streams: Sequence[Stream], owner: Property | None) -> bool:
        for stream in streams:
            if stream.measurement_id in measurement_ids:
                found.setdefault(stream.measurement_id, Place(stream.measurement_id, stream, owner))
        return found.keys() >= set(measurement_ids)

    done = take(await admin.streams(api, property_id), None) if property_id else not measurement_ids
    if not done:
        for each in await admin.properties(api):
            if take(await admin.streams(api, each.id), each):
                break
    return tuple(found.get(one, Place(one, None)) for one in measurement_ids)


async def property_ids(api: Api, named: str | None, measurement_ids: Sequence[str]) -> tuple[str, ...]:
    """The properties that the operator means: the one that is named, else those of all measurement ids.

    Raises:
        GoogleError: no property that the credentials may see has one of them, or Google cannot be asked.
    """
    if named:
        return (named,)
    places = await find(api, measurement_ids)
    if lost := [place.measurement_id for place in places if not place.stream]:
        raise not_found(api, lost)
    return tuple(dict.fromkeys(place.stream.property_id for place in places if place.stream))


def not_found(api: Api, measurement_ids: Sequence[str]) -> GoogleError:
    """No property has these."""
    return GoogleError(
        f"no property that {api.account} may see has a web stream {' or '.join(measurement_ids)}",
        f"is the measurement id right? In GA4 at Admin, Property access management, add {api.account} as Viewer",
    )
