"""What changed between two reports."""

from __future__ import annotations

import pytest

from bridge.report.difference import Change, difference
from bridge.report.model import Event

OLD = [
    Event("host_count", {"value": 4}),
    Event("module_with_opt", {"module": "mod_roster", "backend": "mnesia"}),
    Event("module_with_opt", {"module": "mod_roster", "backend": "mnesia"}),
    Event("module_with_opt", {"module": "mod_ping"}),
    Event("cluster", {"uptime_seconds": 10, "version": "6.8.0"}),
    Event("cluster", {"uptime_seconds": 12, "version": "6.8.0"}),
    Event("http_api", {"mod_bosh": "enabled"}),
    Event("outgoing_pool", {"value": "http"}),
    Event("outgoing_pool", {"value": "http"}),
    Event("xmpp_stanza_count", {"stanza_type": "xmppIqSent", "total": 5, "increment": 1}),
]


def changed(*pairs: tuple[int, Event | None], more: tuple[Event, ...] = ()) -> list[Event]:
    """The old report with some of its events replaced or, by None, left out."""
    at = dict(pairs)
    new = [at.get(index, event) for index, event in enumerate(OLD)]
    return [*(event for event in new if event), *more]


def test_equal_reports_have_no_difference_in_whatever_order() -> None:
    assert difference(OLD, OLD) == difference(OLD, OLD[::-1]) == ()


@pytest.mark.parametrize(
    ("new", "change"),
    [
        (changed((0, Event("host_count", {"value": 5}))), Change("host_count", "", ("value 4",), ("value 5",), False)),
        (changed((0, None)), Change("host_count", "", ("value 4",), (), False)),
        (
            changed((1, Event("module_with_opt", {"module": "mod_roster", "backend": "rdbms"}))),
            Change("module_with_opt", "mod_roster", ("backend mnesia",), ("backend rdbms",), False),
        ),
        (
            changed((1, None), (2, None)),
            Change("module_with_opt", "mod_roster", ("backend mnesia ×2",), (), False),
        ),
        (
            changed(more=(Event("module_with_opt", {"module": "mod_ping"}),)),
            Change("module_with_opt", "mod_ping", (), ("without options",), False),
        ),
        (
            changed((4, Event("cluster", {"uptime_seconds": 90, "version": "6.8.0"}))),
            Change("cluster", "", ("uptime_seconds 10",), ("uptime_seconds 90",), True),
        ),
        (
            changed((4, Event("cluster", {"uptime_seconds": 1, "version": "6.9.0"}))),
            Change("cluster", "", ("uptime_seconds 10, version 6.8.0",), ("uptime_seconds 1, version 6.9.0",), False),
        ),
        (changed((4, None)), Change("cluster", "", ("uptime_seconds 10, version 6.8.0",), (), False)),
        (
            changed((6, Event("http_api", {"mod_bosh": "enabled", "mod_websockets": "enabled"}))),
            Change("http_api", "", ("without options",), ("mod_websockets enabled",), False),
        ),
        (changed((7, None)), Change("outgoing_pool", "", ("value http",), (), False)),
        (
            changed((9, Event("xmpp_stanza_count", {"stanza_type": "xmppIqSent", "total": 9, "increment": 4}))),
            Change("xmpp_stanza_count", "xmppIqSent", ("total 5, increment 1",), ("total 9, increment 4",), True),
        ),
    ],
)
def test_one_change_is_told_with_what_differs_alone(new: list[Event], change: Change) -> None:
    assert difference(OLD, new) == (change,)


def test_one_node_more_is_a_change_though_all_uptimes_move() -> None:
    nodes = [Event("cluster", {"uptime_seconds": seconds, "version": "6.8.0"}) for seconds in (20, 22, 1)]
    (change,) = difference(OLD, [*changed((4, None), (5, None)), *nodes])
    assert not change.moving
    assert (len(change.before), len(change.after)) == (2, 3)


def test_what_always_moves_is_last_and_the_rest_in_the_order_of_events() -> None:
    new = changed(
        (0, Event("host_count", {"value": 5})),
        (4, Event("cluster", {"uptime_seconds": 90, "version": "6.8.0"})),
        (7, None),
    )
    assert [change.event for change in difference(OLD, new)] == ["host_count", "outgoing_pool", "cluster"]


def test_before_the_first_report_everything_is_new() -> None:
    changes = difference((), OLD)
    assert {change.event for change in changes} == {event.name for event in OLD}
    assert not any(change.before or change.moving for change in changes)
