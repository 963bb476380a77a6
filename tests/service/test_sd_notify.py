"""What arrives at the socket of a service manager."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from bridge.service.sd_notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_assignments_arrive_at_a_path_and_at_an_abstract_name(tmp_path: Path, abstract: bool) -> None:
    name = f"@bridge-test-{tmp_path}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0") if abstract else name)
        manager.settimeout(5)
        Notifier({"NOTIFY_SOCKET": name}).ready("report 1\n57 events")
        assert manager.recv(4096) == b"READY=1\nSTATUS=report 1 57 events"
        Notifier({"NOTIFY_SOCKET": name}).reloading()
        reloading, moment = manager.recv(4096).split(b"\n")
        assert reloading == b"RELOADING=1"
        assert moment.removeprefix(b"MONOTONIC_USEC=").isdigit()


@pytest.mark.parametrize("name", [None, "", "relative", "@", "/nowhere/at/all"])
def test_without_a_manager_nothing_fails_and_no_socket_is_left(name: str | None) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    Notifier({"NOTIFY_SOCKET": name} if name is not None else {}).ready("started")
    assert sorted(Path("/proc/self/fd").iterdir()) == before


async def test_a_loop_that_is_stuck_gives_no_sign_of_life(tmp_path: Path) -> None:
    reason: str | None = None
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"})
        watching = asyncio.create_task(notifier.watch(lambda: reason))

        async def sign() -> bytes:
            async with asyncio.timeout(5):
                return await asyncio.get_running_loop().sock_recv(manager, 100)

        assert [await sign() for _ in range(3)] == [b"WATCHDOG=1"] * 3
        reason = "stuck"
        await asyncio.sleep(0.2)  # four periods without one
        with contextlib.suppress(BlockingIOError):
            manager.recv(100)  # one may have been on its way
        with pytest.raises(BlockingIOError):
            manager.recv(100)
        reason = None
        assert await sign() == b"WATCHDOG=1"
        watching.cancel()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "12"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "13"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_a_watchdog_counts_only_where_it_is_meant_for_us(environ: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environ, pid=12).watchdog == seconds
