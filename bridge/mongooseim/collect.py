"""Ask a cluster: enter at the configured nodes, find the others, ask each one question, all at the same time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bridge.erlang.errors import BadNodeName, ErlangError
from bridge.erlang.names import NodeName
from bridge.mongooseim import probes
from bridge.mongooseim.answers import NodeAnswer, read_answer
from bridge.mongooseim.errors import BadAnswer, NoNodeAnswered
from bridge.mongooseim.facts import Unreachable
from bridge.mongooseim.merge import merge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bridge.erlang.node import Node
    from bridge.erlang.terms import Term
    from bridge.mongooseim.facts import ClusterFacts


async def collect(
    node: Node,
    entries: Sequence[NodeName],
    *,
    timeout: float,  # noqa: ASYNC109
    own_name: str = "",
    also_known: Sequence[str] = (),
    silent: set[str] | None = None,
) -> ClusterFacts:
    """The facts of the cluster behind the entry nodes.

    Every node that an answering node sees is asked too; each has its own deadline, so that one that cannot be reached
    is named and holds up nobody.

    Args:
        node: our own hidden node.
        entries: where to enter; a port given there is taken for the members found through it as well.
        timeout: seconds for each node to be connected and to answer.
        own_name: the node of this bridge's service, which is not another bridge.
        also_known: modules that the operator lets pass by name, beside those of the wall.
        silent: holds the names of the nodes that have not answered yet, while they are asked.

    Raises:
        NoNodeAnswered: none has a running MongooseIM, or none could be asked.
    """
    question = partial(ask, node, timeout=timeout, own_name=own_name, also_known=also_known)
    survey = Survey(question, entries, silent)
    try:
        await survey.complete()
    finally:
        survey.stop()
    serving = [answer for answer in survey.answers.values() if answer.running]
    stopped = [not_running(name) for name, answer in survey.answers.items() if not answer.running]
    missing = [*survey.unreachable.values(), *stopped]
    if not serving:
        raise NoNodeAnswered(missing)
    return merge(serving, missing)


def port_of_members(entries: Sequence[NodeName]) -> int | None:
    """The port at which members are called that were not configured: one that is given for an entry holds for all."""
    return next((entry.port for entry in entries if entry.port), None)


class Survey:
    """Questions under way to a cluster whose members are found out with the answers, kept by node as they come."""

    def __init__(
        self,
        question: Callable[[NodeName], Awaitable[NodeAnswer]],
        entries: Sequence[NodeName],
        silent: set[str] | None = None,
    ) -> None:
        """Begin to ask.

        Args:
            question: asks one node, as `ask` does.
            entries: where to enter.
            silent: as for `collect`.
        """
        self.answers: dict[str, NodeAnswer] = {}
        self.unreachable: dict[str, Unreachable] = {}
        self._silent = set() if silent is None else silent
        self._question = question
        self._port = port_of_members(entries)
        self._asked: set[str] = set()
        self._waiting: set[asyncio.Task[NodeAnswer | Unreachable]] = set()
        for entry in entries:
            self._ask(entry)

    async def complete(self) -> None:
        """Wait until every node that was found has answered or failed to."""
        while self._waiting:
            done, self._waiting = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
            for outcome in (task.result() for task in done):
                if isinstance(outcome, Unreachable):
                    self.unreachable[outcome.node] = outcome
                else:
                    self.answers[outcome.name] = outcome
                    self._meet(outcome.members)

    def stop(self) -> None:
        """Give up what is still under way."""
        for task in self._waiting:
            task.cancel()

    def _meet(self, members: Sequence[str]) -> None:
        for name in members:
            try:
                self._ask(NodeName.parse(name)._replace(port=self._port))
            except BadNodeName as error:
                self.unreachable[name] = Unreachable(name, error.what, error.remedy)

    def _ask(self, peer: NodeName) -> None:
        if str(peer) not in self._asked:
            self._asked.add(str(peer))
            self._silent.add(str(peer))
            self._waiting.add(asyncio.create_task(self._answer(peer), name=f"ask {peer}"))

    async def _answer(self, peer: NodeName) -> NodeAnswer | Unreachable:
        try:
            return await self._question(peer)
        except (ErlangError, BadAnswer) as error:
            return Unreachable(str(peer), error.what, error.remedy)
        finally:
            self._silent.discard(str(peer))


async def ask(
    node: Node,
    peer: NodeName,
    *,
    timeout: float,  # noqa: ASYNC109
    own_name: str = "",
    also_known: Sequence[str] = (),
) -> NodeAnswer:
    """Ask one node; the arguments are those of `collect`.

    Raises:
        ErlangError: the node could not be asked.
        BadAnswer: it answered something else.
    """
    arguments = partial(probes.call_arguments, own_name=own_name, also_known=also_known)
    return read_answer(await evaluate(node, peer, timeout, arguments), str(peer), also_known)


async def evaluate(
    node: Node,
    peer: NodeName,
    timeout: float,  # noqa: ASYNC109
    arguments: Callable[[float], Sequence[Term]],
) -> Term:
    """What the probes answer in a node; they have the time that connecting leaves.

    Args:
        node: our own hidden node.
        peer: the node.
        timeout: seconds for connecting and for the answer.
        arguments: gives those of the call, for the seconds that are left.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    await node.connect(peer, timeout=timeout)
    left = deadline - loop.time()
    return await node.call(peer, "erl_eval", "expr", arguments(left), timeout=left)


def not_running(node: str) -> Unreachable:
    """A node whose virtual machine answers, and nothing else of it."""
    return Unreachable(
        node,
        f"node {node} answers, but MongooseIM is not running on it",
        "it may be starting or stopping; else restart it (mongooseimctl restart), or name another node",
    )
