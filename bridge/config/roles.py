"""Two processes in place of one: one has the cookie and collects, the other has the API secrets and delivers.

What counts is what a process can read: one configuration file may serve both, when each file with a secret that it
names can be read by one of them only.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from bridge.config.errors import Problem
from bridge.config.secrets import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.load import Loaded


class Role(Enum):
    """What a service does; the value is its mode in the log."""

    BOTH = "reporting"
    COLLECT = "collecting"
    DELIVER = "delivering"

    @property
    def collects(self) -> bool:
        """Whether it makes reports."""
        return self is not Role.DELIVER

    @property
    def delivers(self) -> bool:
        """Whether it sends them."""
        return self is not Role.COLLECT


def refusals(role: Role, loaded: Loaded, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Every secret of the other role that this process can read: the wall between the two is not there."""
    for place in secrets(loaded, environ) if role is not Role.BOTH else ():
        if place.opens_cluster is role.collects or not place.readable:
            continue
        if role.collects:
            what = "this process, which only collects, can read an API secret"
            yield Problem(place.where, place.key, what, "let only the user of `deliver` read it")
        else:
            what = "this process, which only delivers, can read what opens the cluster"
            yield Problem(place.where, place.key, what, "let only the user of `run --collect-only` read it")
