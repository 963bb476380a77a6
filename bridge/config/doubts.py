"""What can be used, but is hardly meant: logged by every command, and shown by `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.config.errors import Problem
from bridge.config.files import exposed
from bridge.config.keys import SERVICE
from bridge.config.secrets import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.load import Loaded

SHORTEST_PERIOD: Final = 60_000
"""A shorter one was probably meant in seconds."""


def doubts(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[Problem]:
    """A period that was meant in seconds, and each file with a secret for the destinations that others can read."""
    period = loaded.settings.service.periodic_report
    if period < SHORTEST_PERIOD:
        key, remedy = f"{SERVICE}.periodic_report", "the unit is the millisecond: 20 minutes are 1_200_000"
        yield Problem(loaded.where(key), key, f"a report every {period} ms", remedy)
    for place in secrets(loaded, environ):
        if place.path and not place.opens_cluster and (doubt := exposed(place.path, place.key)):
            yield doubt
