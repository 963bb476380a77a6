"""The preview behind the page's button: who may ask, how often, and for how long."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from bridge.health import preview
from bridge.mongooseim.collect import not_running
from bridge.mongooseim.errors import NoNodeAnswered
from tests.health.support import STANDARD, Place

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from bridge.health.server import HealthListener
    from bridge.mongooseim.facts import ClusterFacts
    from bridge.report.model import Report


class Nodes:
    """What asking the nodes gives, and how often they were asked."""

    def __init__(self, place: Place, facts: ClusterFacts) -> None:
        self._place = place
        self._facts = facts
        self.asked = 0
        self.reached = asyncio.Event()
        self.answering = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self) -> Report:
        self.asked += 1
        self.reached.set()
        await self.answering.wait()
        if self.error:
            raise self.error
        return self._place.would_report(self._facts)


@pytest.fixture
def nodes(place: Place, facts: ClusterFacts) -> Nodes:
    made = Nodes(place, facts)
    place.preview = made.ask
    made.answering.set()
    return made


async def token(client: httpx.AsyncClient, health: HealthListener) -> str:
    (found,) = re.findall(r'body: "([\w-]+)"', (await client.get(health.address)).text)
    return str(found)


async def post(client: httpx.AsyncClient, health: HealthListener, body: str, **headers: str) -> httpx.Response:
    headers = {"Origin": health.address, **headers}
    return await client.post(f"{health.address}/preview", content=body, headers=headers)


async def test_it_shows_the_difference_to_the_last_report_and_keeps_nothing(
    place: Place, client: httpx.AsyncClient, nodes: Nodes, facts: ClusterFacts
) -> None:
    async with place.listener() as health:
        known = await token(client, health)
        answer = (await post(client, health, known)).json()
        assert (answer["since"], answer["nodes"]) == (None, 2)
        assert sum(len(change["after"]) for change in answer["changes"]) > 30
        assert place.state.status().reports == ()
        assert place.state.stanza_totals() == {}
        made = await place.report(facts)
    async with place.listener() as health:
        answer = (await post(client, health, await token(client, health))).json()
        assert (answer["since"], answer["events"]) == (made.id, len(made.report.events))
        assert {change["event"] for change in answer["changes"]} == {"xmpp_stanza_count"}
        assert all(change["moving"] for change in answer["changes"])
        assert len(place.state.status().reports) == 1
    assert nodes.asked == 2


REFUSED: tuple[tuple[bool, dict[str, str]], ...] = (
    (False, {}),
    (True, {"Origin": "http://evil.example"}),
    (True, {"Origin": "null"}),
    (True, {"Origin": ""}),
    (True, {"Origin": "http://127.0.0.1:1"}),
    (True, {"Host": "evil.example"}),
)


async def test_only_the_page_of_this_listener_may_ask(place: Place, client: httpx.AsyncClient, nodes: Nodes) -> None:
    async with place.listener() as health:
        for known, headers in REFUSED:
            body = await token(client, health) if known else "x" * 22
            assert (await post(client, health, body, **headers)).status_code == 403, headers
        assert (await client.get(f"{health.address}/preview")).status_code == 405
    assert nodes.asked == 0


async def test_one_is_made_at_a_time_and_shared_for_a_while(
    place: Place, client: httpx.AsyncClient, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.answering.clear()
    async with place.listener() as health:
        known = await token(client, health)
        asking = [asyncio.create_task(post(client, health, known)) for _ in range(3)]
        await asyncio.wait_for(nodes.reached.wait(), 5)
        nodes.answering.set()
        answers = [*[(await each).content for each in asking], (await post(client, health, known)).content]
        assert len(set(answers)) == 1
        assert nodes.asked == 1
        monkeypatch.setattr(preview, "LEAST_PERIOD", 0.0)
        assert (await post(client, health, known)).status_code == 200
        assert nodes.asked == 2


async def test_it_ends_at_its_deadline_and_with_the_listener(
    tmp_path: Path, client: httpx.AsyncClient, facts: ClusterFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "LEAST_PERIOD", 0.0)
    monkeypatch.setattr(preview, "SLACK", 0.0)
    place = Place(tmp_path, [STANDARD], settings="collect_timeout = 100")
    nodes = Nodes(place, facts)
    place.preview = nodes.ask
    with place.state:
        async with place.listener() as health:
            answer = await post(client, health, await token(client, health))
            assert (answer.status_code, answer.text) == (504, "the nodes did not answer within 0.2 s\n")
            nodes.error = NoNodeAnswered([not_running("a@h")])
            nodes.answering.set()
            answer = await post(client, health, await token(client, health))
            assert (answer.status_code, answer.text) == (502, f"{nodes.error}\n")
            nodes.answering.clear()
            nodes.reached.clear()
            hanging = asyncio.create_task(post(client, health, await token(client, health)))
            await asyncio.wait_for(nodes.reached.wait(), 5)
        with pytest.raises(Exception, match="disconnected"):
            await hanging


async def test_without_nodes_there_is_no_preview(place: Place, client: httpx.AsyncClient) -> None:
    async with place.listener() as health:
        assert (await post(client, health, "")).status_code == 404
        assert (await client.get(f"{health.address}/page.json")).json()["preview_seconds"] is None
