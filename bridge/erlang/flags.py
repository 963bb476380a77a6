"""Distribution flags: what this node can do, and what each OTP release insists on.

Source: "Distribution Flags" of the Erlang Distribution Protocol chapter. A missing mandatory flag shows as status
`not_allowed` only; the reason is in the peer's log. PUBLISHED is never set: the bridge is a hidden node.
"""

from __future__ import annotations

from typing import Final

EXTENDED_REFERENCES: Final = 1 << 2
DIST_MONITOR: Final = 1 << 3
FUN_TAGS: Final = 1 << 4
DIST_MONITOR_NAME: Final = 1 << 5
NEW_FUN_TAGS: Final = 1 << 7
EXTENDED_PIDS_PORTS: Final = 1 << 8
EXPORT_PTR_TAG: Final = 1 << 9
BIT_BINARIES: Final = 1 << 10
NEW_FLOATS: Final = 1 << 11
UTF8_ATOMS: Final = 1 << 16
MAP_TAG: Final = 1 << 17
BIG_CREATION: Final = 1 << 18
SEND_SENDER: Final = 1 << 19
EXIT_PAYLOAD: Final = 1 << 22
HANDSHAKE_23: Final = 1 << 24
UNLINK_ID: Final = 1 << 25
MANDATORY_25_DIGEST: Final = 1 << 26
SPAWN: Final = 1 << 32
NAME_ME: Final = 1 << 33
V4_NC: Final = 1 << 34
ALIAS: Final = 1 << 35

MANDATORY_25: Final = (
    EXTENDED_REFERENCES
    | FUN_TAGS
    | NEW_FUN_TAGS
    | EXTENDED_PIDS_PORTS
    | EXPORT_PTR_TAG
    | BIT_BINARIES
    | NEW_FLOATS
    | UTF8_ATOMS
    | MAP_TAG
    | BIG_CREATION
    | HANDSHAKE_23
)
MANDATORY_26: Final = MANDATORY_25 | UNLINK_ID | V4_NC

OURS: Final = MANDATORY_26 | DIST_MONITOR | DIST_MONITOR_NAME | SEND_SENDER | EXIT_PAYLOAD | SPAWN | ALIAS
"""Neither FRAGMENTS nor DIST_HDR_ATOM_CACHE: with either, every message would need a distribution header."""


def missing(flags: int) -> int:
    """What a peer's flags lack of what the bridge cannot do without."""
    if flags & MANDATORY_25_DIGEST:  # it stands for the whole set of OTP 25
        flags |= MANDATORY_25
    return (MANDATORY_25 | SPAWN | DIST_MONITOR) & ~flags
