"""The root of every error that the bridge raises on purpose, and the exit codes of the program.

Each package grows its own tree from here. An error says as separate fields what failed, with what (node, file, key),
and what to do about it; the command line, the log, `doctor` and the page each show them in their own way, and nobody
takes a text apart. Secrets never appear in one.

BridgeError
├── bridge.erlang.errors.ErlangError       the node: EPMD, handshake, connection, calls, terms
├── bridge.mongooseim.errors.MongooseError what the nodes answered
├── bridge.state.errors.StateError         the state directory
├── bridge.delivery.errors.DeliveryError   the destinations, and the way there
├── bridge.google.errors.GoogleError       Google's own APIs: credentials, roles, quotas
└── bridge.config.errors.ConfigError       files, environment, options
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from bridge.text import printable


class ExitCode(IntEnum):
    """What the program ends with. An error's class says which one is its own."""

    DONE = 0
    NOT_ALL_DELIVERED = 1
    """The report is made; something of it is queued, refused or given up."""
    USAGE = 2
    """The command line or the configuration is wrong."""
    NO_NODE = 3
    """No node of the cluster could be asked."""
    SWITCHED_OFF = 4
    """The operator said no to reports."""
    STATE = 5
    """The state directory or the log directory cannot be used, or another service reports from it."""
    LISTEN = 6
    """The health listener or the emulator cannot listen where it was told to."""
    GOOGLE = 7
    """Google's own APIs cannot be asked: credentials, role, API that is off, quota."""


class BridgeError(Exception):
    """Something failed in a way that the bridge foresaw; the texts are written for the operator.

    Args:
        what: what failed, with what, and the cause where it is known.
        remedy: what to do about it; empty where there is nothing to say.
        phase: which part of a longer attempt failed, as the attempt tells its observer; empty where there is one only.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, what: str, remedy: str = "", *, phase: str = "") -> None:
        self.what = printable(what)
        self.remedy = printable(remedy)
        self.phase = phase
        super().__init__(what, remedy)

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what
