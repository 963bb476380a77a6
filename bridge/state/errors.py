"""What can go wrong with the state directory; nothing is ever half-written.

StateError
├── StateUnusable   the directory or a file in it cannot be created, read or written
├── StateFull       no room on the disk
├── StateBusy       another process holds a lock or the file for longer than the deadline
├── StateDamaged    the file is corrupt, or belongs to another program
└── StateTooNew     the file was written by a newer release
"""

from __future__ import annotations

from bridge.errors import BridgeError, ExitCode


class StateError(BridgeError):
    """The root of the tree above."""

    exit_code = ExitCode.STATE


class StateUnusable(StateError):
    """The state directory or a file in it cannot be created, read or written."""


class StateFull(StateError):
    """The disk has no room; what was there before is untouched."""


class StateBusy(StateError):
    """Another process holds a lock or the file for longer than the deadline."""


class StateDamaged(StateError):
    """The file is corrupt, or belongs to another program."""


class StateTooNew(StateError):
    """The file was written by a newer release of the bridge."""
