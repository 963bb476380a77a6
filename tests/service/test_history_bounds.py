"""What is remembered of nodes goes with the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.mongooseim.facts import Incarnation
from bridge.report.model import Event, Report
from bridge.state.queue import Bounds
from bridge.state.state import State
from bridge.state.totals import remember
from tests.delivery.support import DAY, Hands

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = {"xmppMessageSent": 5}


def report(store: State, hands: Hands, *nodes: str) -> None:
    now = {Incarnation(node, 1): COUNTS for node in nodes}
    totals = remember(store.stanza_totals(), now)
    number = store.add(Report("1.2", hands.wall, (Event("host_count", {"value": 1}),), totals, dict.fromkeys(nodes)))
    store.published(number)


def test_a_node_that_is_away_keeps_its_counters_for_as_long_as_the_history_knows_it(tmp_path: Path) -> None:
    hands = Hands()
    with State.open(tmp_path, bounds=Bounds(history_days=30), clock=hands.clock) as store:
        report(store, hands, "stays@host", "leaves@host")
        hands.pass_time(29 * DAY)
        report(store, hands, "stays@host")
        assert set(store.stanza_totals()) == {Incarnation("stays@host", 1), Incarnation("leaves@host", 1)}
        hands.pass_time(2 * DAY)
        report(store, hands, "stays@host")
        assert set(store.stanza_totals()) == {Incarnation("stays@host", 1)}


def test_a_cluster_whose_nodes_have_new_names_every_day_does_not_fill_the_state(tmp_path: Path) -> None:
    hands = Hands()
    with State.open(tmp_path, bounds=Bounds(history_days=10), clock=hands.clock) as store:
        for day in range(100):
            report(store, hands, f"pod-{day}@host")
            hands.pass_time(DAY)
        assert len(store.stanza_totals()) <= 11
