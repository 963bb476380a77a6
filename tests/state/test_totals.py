"""Increments are never negative and add up to what was counted, whatever happens to the nodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mongooseim.facts import STANZA_TYPES, Incarnation, StanzaTotals
from bridge.report.model import StanzaCount
from bridge.state.totals import remember, stanza_counts

FIRST = Incarnation("a@h", 1)
AGAIN = Incarnation("a@h", 2)
OTHER = Incarnation("b@h", 1)


def counted(number: int) -> dict[str, int]:
    return {"xmppIqSent": number}


@pytest.mark.parametrize(
    ("previous", "current", "total", "increment"),
    [
        pytest.param({}, {FIRST: counted(5)}, 5, 5, id="a node that is seen first counts with its total"),
        pytest.param({FIRST: counted(100)}, {AGAIN: counted(3)}, 3, 3, id="a restarted node counts from zero"),
        pytest.param({FIRST: counted(100)}, {FIRST: counted(3)}, 3, 3, id="so does a counter that started again"),
        pytest.param(
            {FIRST: counted(10), OTHER: counted(1)},
            {FIRST: counted(12), OTHER: counted(4)},
            16,
            5,
            id="both are summed over the nodes",
        ),
        pytest.param(
            remember({FIRST: counted(10), OTHER: counted(7)}, {FIRST: counted(11)}),
            {FIRST: counted(11), OTHER: counted(9)},
            20,
            2,
            id="a node that was out of reach does not count twice",
        ),
    ],
)
def test_totals_and_increments(previous: StanzaTotals, current: StanzaTotals, total: int, increment: int) -> None:
    assert stanza_counts(previous, current) == (StanzaCount("xmppIqSent", total, increment),)


def test_one_incarnation_per_node_is_remembered_and_a_type_that_no_node_counts_is_left_out() -> None:
    assert remember({FIRST: counted(1)}, {AGAIN: counted(2)}) == {AGAIN: counted(2)}
    assert stanza_counts({}, {FIRST: {}}) == ()


Step = st.tuples(st.sampled_from(["count", "restart", "lost"]), st.sampled_from(["a@h", "b@h"]), st.integers(0, 50))


@given(st.lists(Step, max_size=40))
def test_increments_add_up_to_everything_that_was_counted_when_seen(steps: list[tuple[str, str, int]]) -> None:
    creation = {"a@h": 1, "b@h": 1}
    counter = {"a@h": 0, "b@h": 0}
    counted = incremented = 0
    remembered = {}
    for action, node, amount in steps:
        if action == "restart":
            creation[node] += 1
            counter[node] = 0
        lost = node if action == "lost" else None
        counter[node] += amount
        counted += amount
        current = {
            Incarnation(name, creation[name]): {STANZA_TYPES[0]: counter[name]} for name in counter if name != lost
        }
        for count in stanza_counts(remembered, current):
            assert count.increment >= 0
            incremented += count.increment
        remembered = remember(remembered, current)
    missed_at_most = sum(amount for action, _, amount in steps if action == "lost")
    assert counted - missed_at_most <= incremented <= counted
