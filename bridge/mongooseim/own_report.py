"""What MongooseIM's own reporter would send from a node, asked in the same call as our own facts of it.

Nothing here passes the wall: it is what the node itself would disclose, shown to the operator on their own screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.mongooseim import known, probes
from bridge.mongooseim.answers import NodeAnswer, read_answer
from bridge.mongooseim.errors import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.erlang.names import NodeName
    from bridge.erlang.node import Node
    from bridge.erlang.terms import Term

OwnEvent = tuple[str, "Mapping[str, str | int | float]"]


@dataclass(frozen=True, slots=True)
class OwnReport:
    """The events of MongooseIM's own collector, or why it gave none ("error badmatch")."""

    events: tuple[OwnEvent, ...]
    failure: str | None = None


async def ask_both(node: Node, peer: NodeName, *, timeout: float) -> tuple[NodeAnswer, OwnReport]:  # noqa: ASYNC109
    """Ask one node for our facts and for its own report, at the same moment.

    Raises:
        ErlangError: the node could not be asked.
        BadAnswer: it answered something else.
    """
    arguments = probes.call_arguments(own_collector=True)
    answers = await node.call(peer, "erl_eval", "expr", arguments, timeout=timeout)
    answer = read_answer(answers)
    outcome = dict(answers)[probes.OWN_COLLECTOR]
    try:
        if outcome[0] != "ok":
            return answer, OwnReport((), known.failure(outcome[1], outcome[2]))
        events = tuple(
            (_text(name), {_text(key): _value(value) for key, value in params}) for name, params in outcome[1]
        )
    except (TypeError, ValueError, IndexError) as error:
        raise BadAnswer(f"node {peer} gave an own report in a form that is not known") from error
    return answer, OwnReport(events)


def _value(term: Term) -> str | int:
    return term if type(term) is int else _text(term)


def _text(term: Term) -> str:
    """A name or value as MongooseIM would write it into JSON; for anything that JSON would not take, its type."""
    return known.text(term) or f"({type(term).__name__})"
