"""The emulator in process: what it answers, records and tells; how it fails and recovers."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.emulator.faults import FaultError
from bridge.emulator.server import Emulator

QUERY = {"measurement_id": "G-TEST", "api_secret": "hush-hush"}


def payload(*names: str, **fields: Any) -> dict[str, Any]:
    params = {"session_id": "1", "engagement_time_msec": 100, "value": 3}
    return {"client_id": "1.2", "events": [{"name": name, "params": params} for name in names], **fields}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


async def send(client: httpx.AsyncClient, emulator: Emulator, *names: str, **fields: Any) -> httpx.Response:
    return await client.post(emulator.url, params=QUERY, json=payload(*names, **fields))


async def test_collect_answers_204_and_nothing_whatever_arrives(client: httpx.AsyncClient) -> None:
    async with Emulator() as emulator:
        for body in (b"", b"nonsense", b"x" * 2_000_000, json.dumps(payload("host_count")).encode()):
            answer = await client.post(emulator.url, content=body)
            assert (answer.status_code, answer.content) == (204, b"")
        assert [event.accepted for event in emulator.events] == [False, False, False, True]


async def test_an_event_is_recorded_as_it_came_and_the_secret_is_not(client: httpx.AsyncClient, tmp_path: Path) -> None:
    record = tmp_path / "events.jsonl"
    async with Emulator(record=record, clock=lambda: 1_750_000_000.25) as emulator:
        await send(client, emulator, "host_count", timestamp_micros=1_750_000_000_000_000)
        (event,) = emulator.events
    (line,) = record.read_text().splitlines()
    assert json.loads(line) == {
        "number": 1,
        "received": "2025-06-15T15:06:40.250Z",
        "measurement_id": "G-TEST",
        "secret_given": True,
        "client_id": "1.2",
        "name": "host_count",
        "params": {"session_id": "1", "engagement_time_msec": 100, "value": 3},
        "timestamp_micros": 1_750_000_000_000_000,
        "accepted": True,
        "reasons": [],
        "warnings": [],
    }
    assert "hush" not in f"{line} {event!r} {emulator.requests!r} {emulator!r}"


async def test_what_ga4_would_drop_without_a_word_is_recorded_with_the_reason(client: httpx.AsyncClient) -> None:
    async with Emulator() as emulator:
        await send(client, emulator, "host_count", "session_start")
        await client.post(emulator.url, json=payload("host_count", clientId="1"))
    good, reserved, unreadable = emulator.events
    assert good.accepted
    assert reserved.reasons == (
        "NAME_RESERVED: Event at index: [1] has invalid name [session_start]. The name is reserved.",
    )
    assert unreadable.reasons == (
        "VALUE_INVALID: Unable to parse Measurement Protocol JSON payload. clientId: Cannot find field.",
    )
    assert (reserved.secret_given, unreadable.secret_given) == (True, False)
    assert [event.number for event in emulator.events] == [1, 2, 3]


async def test_the_debug_endpoint_tells_and_records_no_events(client: httpx.AsyncClient) -> None:
    async with Emulator() as emulator:
        url = f"{emulator.base_url}/debug/mp/collect"
        assert (await client.post(url, json=payload("host_count"))).json() == {"validationMessages": []}
        (message,) = (await client.post(url, json=payload("_x"))).json()["validationMessages"]
        assert message["validationCode"] == "NAME_INVALID"
        assert emulator.events == []
        assert [(request.answer, request.messages) for request in emulator.requests] == [("200", 0), ("200", 1)]


async def test_a_record_is_continued(client: httpx.AsyncClient, tmp_path: Path) -> None:
    for name in ("first", "second"):
        async with Emulator(record=tmp_path / "events.jsonl") as emulator:
            await send(client, emulator, name)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["first", "second"]


async def test_the_latest_events_are_kept_and_read_from_where_the_reader_left(client: httpx.AsyncClient) -> None:
    async with Emulator(keep=2) as emulator:
        await send(client, emulator, "a", "b", "_c")
        url = f"{emulator.base_url}/emulator/events"
        for query, names in (("", ["b", "_c"]), ("?after=2", ["_c"]), ("?after=3", []), ("?after=x", ["b", "_c"])):
            seen = (await client.get(url + query)).json()
            assert [event["name"] for event in seen["events"]] == names
    assert [event.name for event in emulator.events] == ["b", "_c"]
    assert (seen["accepted"], seen["rejected"], seen["requests"]) == (2, 1, 1)


async def test_a_status_is_answered_with_retry_after_and_nothing_is_taken(client: httpx.AsyncClient) -> None:
    async with Emulator(fail="429:retry-after=2*1; 500*1") as emulator:
        answers = [await send(client, emulator, "a") for _ in range(3)]
    got = [(each.status_code, each.headers.get("retry-after")) for each in answers]
    assert got == [(429, "2"), (500, None), (204, None)]
    assert len(emulator.events) == 1
    assert [request.answer for request in emulator.requests] == ["429:retry-after=2", "500", "204"]


@pytest.mark.parametrize(("mode", "taken"), [("drop", 0), ("cut", 1)])
async def test_a_connection_without_a_whole_answer(client: httpx.AsyncClient, mode: str, taken: int) -> None:
    async with Emulator(fail=mode) as emulator:
        with pytest.raises(httpx.RemoteProtocolError):
            await send(client, emulator, "a")
        assert len(emulator.events) == taken
        emulator.fail = ""
        assert (await send(client, emulator, "a")).status_code == 204


def arrived(count: int) -> tuple[Callable[..., None], asyncio.Event]:
    """A listener, and an event that is set when so many requests have arrived."""
    numbers, event = itertools.count(1), asyncio.Event()
    return lambda *_: event.set() if next(numbers) == count else None, event


@pytest.mark.parametrize("recovers", [True, False], ids=["recovery", "end"])
async def test_hanging_requests_are_let_go_at_recovery_and_at_the_end(
    client: httpx.AsyncClient, recovers: bool
) -> None:
    listener, second = arrived(2)
    async with asyncio.timeout(5):
        async with Emulator(fail="hang", listener=listener) as emulator:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(emulator.url, json=payload("a"), timeout=0.2)
            waiting = asyncio.create_task(send(client, emulator, "a"))
            await second.wait()
            if recovers:
                emulator.fail = ""
                await asyncio.wait([waiting])
        with pytest.raises(httpx.RemoteProtocolError):
            await waiting
    assert emulator.events == []


async def test_a_slow_answer_comes_late_and_its_events_are_taken(client: httpx.AsyncClient) -> None:
    async with Emulator(fail="slow=0.3") as emulator:
        before = asyncio.get_running_loop().time()
        assert (await send(client, emulator, "a")).status_code == 204
        assert asyncio.get_running_loop().time() - before >= 0.3
        assert len(emulator.events) == 1


async def test_a_fault_that_does_not_exist_or_comes_from_another_site_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    async with Emulator(fail="500") as emulator:
        url = f"{emulator.base_url}/emulator/fail"
        assert (await client.get(url)).json() == {"fail": "500"}
        unknown = await client.post(url, content=b"explode")
        foreign = await client.post(url, content=b"503", headers={"Origin": "https://example.org"})
        assert (unknown.status_code, foreign.status_code, emulator.fail) == (400, 403, "500")
        assert "'explode' is no way to fail" in unknown.text
    with pytest.raises(FaultError):
        Emulator(fail="explode")


async def test_a_full_disk_is_logged_once_and_the_answers_go_on(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with Emulator(record=Path("/dev/full")) as emulator:
        assert [(await send(client, emulator, "a")).status_code for _ in range(2)] == [204, 204]
        assert len(emulator.events) == 2
    (line,) = [str(record.msg) for record in caplog.records if record.name.startswith("bridge")]
    assert line == 'what=record_stopped file=/dev/full error="No space left on device"'
