"""Calls beside the event loop: nobody waits for one that hangs, and one that cannot be made fails as an OSError."""

from __future__ import annotations

import asyncio
import threading
import time
from errno import EAGAIN

import pytest

from bridge.threads import run


def test_what_still_blocks_at_the_end_is_left_behind() -> None:
    released = threading.Event()

    async def work() -> str:
        hanging = asyncio.get_running_loop().run_in_executor(None, released.wait, 60)
        await asyncio.wait({hanging}, timeout=0.05)
        return "done"

    began = time.monotonic()
    assert run(work()) == "done"
    assert time.monotonic() - began < 10
    released.set()


def test_a_result_and_an_error_come_back() -> None:
    async def work(text: str) -> int:
        return await asyncio.get_running_loop().run_in_executor(None, int, text)

    assert run(work("7")) == 7
    with pytest.raises(ValueError, match="seven"):
        run(work("seven"))


def test_where_no_thread_can_be_started_the_call_fails_as_one_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def work() -> object:
        return await asyncio.get_running_loop().getaddrinfo("localhost", 80)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="no more threads") as caught:
        run(work())
    assert caught.value.errno == EAGAIN
