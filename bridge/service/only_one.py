"""One service per state directory: two would make every report twice."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import StoreBusy
from bridge.delivery.lock import holding
from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOCK_NAME: Final = "service.lock"


class AlreadyRunning(BridgeError):
    """Another service reports from the same state directory."""

    exit_code = ExitCode.STATE


@asynccontextmanager
async def only_one(state_dir: Path) -> AsyncIterator[None]:
    """Keep other services away from the state directory; `report` beside us is welcome.

    Raises:
        AlreadyRunning: one is there already.
        StoreUnusable: the lock file cannot be opened.
    """
    path = state_dir / LOCK_NAME
    lock = holding(path, 0.0)
    try:
        await lock.__aenter__()
    except StoreBusy as error:
        holder = path.read_text(encoding="ascii", errors="replace").strip()
        raise AlreadyRunning(
            f"another service (process {holder or 'unknown'}) reports from {state_dir}; "
            "stop it, or give this one a bridge.state_dir and a bridge.name of its own"
        ) from error
    try:
        yield
    finally:
        await lock.__aexit__(None, None, None)
