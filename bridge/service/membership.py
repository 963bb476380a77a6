"""Our place in the cluster: a registered hidden node under a fixed name, or, where that cannot be had, a lent name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bridge.config.access import SERVICE_NAME
from bridge.erlang.errors import ErlangError
from bridge.erlang.names import NodeName
from bridge.log import Line
from bridge.mongooseim.collect import collect, port_of_members
from bridge.mongooseim.errors import NoNodeAnswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.config.access import Access
    from bridge.erlang.node import Node
    from bridge.erlang.terms import Term
    from bridge.mongooseim.facts import ClusterFacts
    from bridge.service.troubles import Troubles

log = logging.getLogger(__name__)


class Membership:
    """Joins the cluster, asks it, leaves it; one thing at a time."""

    def __init__(self, access: Access, answer: Callable[[Term], Awaitable[Term]], troubles: Troubles) -> None:
        """Prepare; nothing is connected before `join` or `ask`.

        Args:
            access: how to reach the cluster, and our name.
            answer: answers `gen_server:call({mongooseim_bridge, OurNode}, Request)`.
            troubles: where it is told that we cannot be called.
        """
        self.access = access
        self.name: str | None = None
        """Our name while peers can ping and call us; None while they cannot."""
        self._answer = answer
        self._troubles = troubles
        self._node: Node | None = None
        self._members: tuple[str, ...] = ()

    async def join(self) -> None:
        """Be a node that peers can ping and call, if possible; else remain one that only calls.

        Without an EPMD on this host, or with our name taken there, nothing but the triggers from Erlang is lost. It is
        tried again each time.
        """
        await self._joined()

    async def ask(self, timeout: float) -> ClusterFacts:  # noqa: ASYNC109
        """The facts of the cluster, by the configured entry nodes or, where none of them answers, by those seen last.

        Args:
            timeout: seconds for each node.

        Raises:
            NoNodeAnswered: not one node could be asked.
        """
        node = await self._joined()
        node.forget()
        entries = list(self.access.entries)
        try:
            facts = await collect(node, entries, timeout=timeout)
        except NoNodeAnswered:
            others = [NodeName.parse(name) for name in self._members if name not in map(str, entries)]
            if not others:
                raise
            entries += [other._replace(port=port_of_members(entries)) for other in others]
            facts = await collect(node, entries, timeout=timeout)
        self._members = tuple(member.name for member in facts.nodes)
        return facts

    async def leave(self) -> None:
        """Close every connection and give the name back."""
        node, self._node, self.name = self._node, None, None
        if node:
            await node.close()

    async def _joined(self) -> Node:
        if self._node is None or self.name is None:
            await self._listen()
        if self._node is None:
            self._node = self.access.node(None)
        return self._node

    async def _listen(self) -> None:
        own = self.access.own_name
        named = self.access.node(str(own))
        named.register(SERVICE_NAME, self._answer)
        try:
            # What is named after "localhost" is not meant for other hosts.
            await named.listen("127.0.0.1" if own.host == "localhost" else None)
        except (ErlangError, OSError) as error:
            await named.close()
            missing = f"reports go on, but `report` and `status` from the cluster's own shell do not work: {error}"
            self._troubles.begin("not_registered", name=own, problem=missing)
            return
        except BaseException:
            await named.close()
            raise
        lent, self._node, self.name = self._node, named, str(own)
        if lent:
            await lent.close()
        self._troubles.end("not_registered", "registered", name=own)
        log.debug(Line("node_registered", name=own))
