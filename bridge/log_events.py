"""The names of all log events; docs/operations.md explains each, and a test holds both to each other."""

from __future__ import annotations

from typing import Final

CONDITIONS: Final = {
    "no_node_answered": "reporting_again",
    "report_failed": "reporting_again",
    "reports_skipped": "reports_in_time",
    "name_taken": "name_free_again",
    "node_not_asked": "node_no_longer_missing",
    "fact_failed": "fact_no_longer_failing",
    "own_reporter_on": "own_reporter_off",
    "second_bridge": "no_second_bridge",
    "unknown_modules": "no_unknown_modules",
    "too_many_events": "events_within_the_limit",
    "verification_failing": "verification_recovered",
    "delivery_failing": "delivery_recovered",
    "delivery_stopped": "delivery_resumed",
}
"""Conditions that last, by the event that begins each, with the event that ends it."""
LOG_EVENTS: Final = frozenset(
    """
    service_started notice new_facts service_stopped health_listening reloaded reload_refused reload_failed
    status_not_kept report_begun report_wanted report_collected summary_not_written
    node_up node_down member_not_connected connection_lost request_failed
    delivered events_not_processed state_set_aside state_replaced setting_doubtful
    http_connection_lost http_request_malformed http_handler_failed record_stopped log
    """.split()
).union(CONDITIONS, CONDITIONS.values())
