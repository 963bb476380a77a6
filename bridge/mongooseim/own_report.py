"""What MongooseIM's own reporter would send from a node; names that are its operator's own stay there all the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.mongooseim import probes, wall
from bridge.mongooseim.answers import UNREADABLE
from bridge.mongooseim.collect import evaluate
from bridge.mongooseim.errors import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.erlang.names import NodeName
    from bridge.erlang.node import Node
    from bridge.erlang.terms import Term

OwnEvent = tuple[str, "Mapping[str, str | int | float]"]

CUSTOM_NAME: Final = "(a custom name)"
"""Stands for any name, value or version suffix that MongooseIM does not ship and that its reporter discloses."""


@dataclass(frozen=True, slots=True)
class OwnReport:
    """The events of MongooseIM's own collector, or why it gave none ("error badmatch")."""

    events: tuple[OwnEvent, ...]
    failure: str | None = None


async def ask_own_report(node: Node, peer: NodeName, *, timeout: float) -> OwnReport:  # noqa: ASYNC109
    """Ask one node for its own report.

    Raises:
        ErlangError: the node could not be asked.
        BadAnswer: it answered something else.
    """
    answers = await evaluate(node, peer, timeout, partial(probes.call_arguments, own_report=True))
    try:
        ((_, outcome),) = answers
        if outcome[0] != "ok":
            return OwnReport((), wall.failure(outcome[1], outcome[2]))
        return OwnReport(
            tuple((_shown(name), {_shown(key): _value(value) for key, value in params}) for name, params in outcome[1])
        )
    except UNREADABLE as error:
        raise BadAnswer(f"node {peer} gave an own report in a form that is not known") from error


def _value(term: Term) -> str | int:
    return term if type(term) is int else _shown(term)


def _shown(term: Term) -> str:
    name = wall.text(term)
    return CUSTOM_NAME if name in {None, wall.CUSTOM} else str(name)
