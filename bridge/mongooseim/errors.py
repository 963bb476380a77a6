"""What can go wrong with the answers of a cluster.

MongooseError
├── BadAnswer        a node answered something that is no answer to the probes
└── NoNodeAnswered   not one node with a running MongooseIM could be asked
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.mongooseim.facts import Unreachable


class MongooseError(BridgeError):
    """The root of the tree above."""

    exit_code = ExitCode.NO_NODE


class BadAnswer(MongooseError):
    """A node answered something that is no answer to the probes; what it was is not repeated, it may hold anything."""


class NoNodeAnswered(MongooseError):
    """Not one node could be asked; `nodes` has the reason of each, and the message a line for each."""

    def __init__(self, nodes: Sequence[Unreachable]) -> None:
        self.nodes = tuple(nodes)
        super().__init__("\n".join(map(str, nodes)))
