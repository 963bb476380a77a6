"""Increments are never negative and add up to what was counted, whatever happens to the nodes."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.mongooseim.facts import STANZA_TYPES, Incarnation
from bridge.report.model import StanzaCount
from bridge.state.totals import remember, stanza_counts

FIRST = Incarnation("a@h", 1)
AGAIN = Incarnation("a@h", 2)
OTHER = Incarnation("b@h", 1)


def test_the_first_sight_of_a_node_counts_with_its_total() -> None:
    assert stanza_counts({}, {FIRST: {"xmppIqSent": 5}}) == (StanzaCount("xmppIqSent", 5, 5),)


def test_a_restarted_node_counts_from_zero() -> None:
    previous = {FIRST: {"xmppIqSent": 100}}
    assert stanza_counts(previous, {AGAIN: {"xmppIqSent": 3}}) == (StanzaCount("xmppIqSent", 3, 3),)


def test_a_counter_that_started_again_in_a_running_node_counts_from_zero() -> None:
    assert stanza_counts({FIRST: {"xmppIqSent": 100}}, {FIRST: {"xmppIqSent": 3}}) == (StanzaCount("xmppIqSent", 3, 3),)


def test_totals_and_increments_are_summed_over_the_nodes() -> None:
    previous = {FIRST: {"xmppIqSent": 10}, OTHER: {"xmppIqSent": 1}}
    current = {FIRST: {"xmppIqSent": 12}, OTHER: {"xmppIqSent": 4}}
    assert stanza_counts(previous, current) == (StanzaCount("xmppIqSent", 16, 5),)


def test_a_node_that_was_out_of_reach_does_not_count_twice() -> None:
    seen = remember({}, {FIRST: {"xmppIqSent": 10}, OTHER: {"xmppIqSent": 7}})
    without = remember(seen, {FIRST: {"xmppIqSent": 11}})
    back = {FIRST: {"xmppIqSent": 11}, OTHER: {"xmppIqSent": 9}}
    assert stanza_counts(without, back) == (StanzaCount("xmppIqSent", 20, 2),)


def test_one_incarnation_per_node_is_remembered() -> None:
    assert remember({FIRST: {"xmppIqSent": 1}}, {AGAIN: {"xmppIqSent": 2}}) == {AGAIN: {"xmppIqSent": 2}}


def test_a_type_that_no_node_counts_is_left_out() -> None:
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
