"""Our place in the cluster: a hidden node under a fixed name that keeps a connection to every member."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeGuard

from bridge.config.access import SERVICE_NAME
from bridge.erlang.errors import BadNodeName, ErlangError, NameTaken
from bridge.erlang.names import NodeName
from bridge.erlang.terms import Atom
from bridge.log import Line
from bridge.mongooseim.collect import port_of_members
from bridge.mongooseim.errors import NoNodeAnswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.app import Installation
    from bridge.conditions import Conditions
    from bridge.erlang.node import Node
    from bridge.erlang.terms import Term
    from bridge.mongooseim.facts import ClusterFacts

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 15.0
"""The longest attempt to connect to a member; the loop that reports does not wait for it."""


class Membership:
    """Keeps connections to the members, asks them, leaves.

    Members can call us over these connections, from wherever the cluster sees us; nothing listens here.
    """

    def __init__(
        self, installation: Installation, answer: Callable[[Term], Awaitable[Term]], conditions: Conditions
    ) -> None:
        """Prepare; nothing is connected before `join` or `ask`.

        Args:
            installation: how to reach the cluster, and our name.
            answer: answers `gen_server:call({mongooseim_bridge, OurNode}, Request)`.
            conditions: where it is logged that another bridge has our name.
        """
        self.access = installation.access
        self._installation = installation
        self._answer = answer
        self._conditions = conditions
        self._node: Node | None = None
        self._members: tuple[str, ...] = ()
        self._joining: asyncio.Task[None] | None = None

    def join(self) -> None:
        """Connect to the members that are not connected, in the background."""
        if self._joining is None or self._joining.done():
            self._joining = asyncio.get_running_loop().create_task(self._join(), name="join the cluster")

    async def ask(self, installation: Installation) -> ClusterFacts:
        """The facts of the cluster, by the configured entry nodes or, where none of them answers, by those seen last.

        Args:
            installation: how to ask; it reaches the cluster as the one that this was made with.

        Raises:
            NoNodeAnswered: not one node could be asked.
        """
        node = self._named()
        node.forget()
        try:
            facts = await self._collect(node, installation)
        except NoNodeAnswered:
            if not node.name_taken:
                raise
            # The other bridge of our name has the connections; names that the nodes lend are nobody's.
            async with installation.node(named=False) as lent:
                facts = await self._collect(lent, installation)
        self._members = tuple(member.name for member in facts.nodes)
        self.join()
        return facts

    async def leave(self) -> None:
        """Close every connection."""
        if self._joining:
            self._joining.cancel()
            await asyncio.wait({self._joining})
        node, self._node = self._node, None
        if node:
            await node.close()

    async def _collect(self, node: Node, installation: Installation) -> ClusterFacts:
        try:
            return await installation.ask(node, self.access.entries)
        except NoNodeAnswered:
            if not self._others():
                raise
            return await installation.ask(node, self._wanted())

    def _others(self) -> list[NodeName]:
        """The members of the last report that are not entry nodes."""
        entries = self.access.entries
        names = [NodeName.parse(name) for name in self._members if name not in map(str, entries)]
        return [name._replace(port=port_of_members(entries)) for name in names]

    def _wanted(self) -> list[NodeName]:
        """The nodes to be connected to."""
        return [*self.access.entries, *self._others()]

    def _named(self) -> Node:
        if self._node is None:
            self._node = self._installation.node(named=True, on_up=self._up, on_down=self._down)
            self._node.register(SERVICE_NAME, self._answer)
        return self._node

    async def _join(self) -> None:
        members = await asyncio.gather(*map(self._connect, self._wanted()))
        seen = set[str]().union(*members).difference(self._members)
        if seen and not self._members:  # before the first report; later on it has found them
            self._members = tuple(seen)
            await asyncio.gather(*map(self._connect, self._others()))

    async def _connect(self, member: NodeName) -> set[str]:
        """Connect to a member, and ask whom it sees."""
        node = self._named()
        try:
            await node.connect(member, timeout=CONNECT_SECONDS)
            seen = await node.call(member, "erlang", "nodes", [], timeout=CONNECT_SECONDS)
            return {name for name in seen if _can_be_called(name)} if isinstance(seen, list) else set()
        except NameTaken as error:
            self._conditions.begin("name_taken", problem=error)
        except ErlangError as error:  # the report says so, too
            log.debug(Line("member_not_connected", node=member, problem=error))
        return set()

    def _up(self, name: str) -> None:
        log.info(Line("node_up", node=name))
        if self._node and not self._node.name_taken:
            self._conditions.end("name_taken")

    def _down(self, name: str, reason: str) -> None:
        log.info(Line("node_down", node=name, reason=reason))


def _can_be_called(name: Term) -> TypeGuard[Atom]:
    """Whether it is the name of a node that we can call; the report tells of one that is not."""
    try:
        return isinstance(name, Atom) and bool(NodeName.parse(name))
    except BadNodeName:
        return False
