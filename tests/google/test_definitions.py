"""The definitions cover every parameter of every report that can be made, within the limits of Google's APIs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from google.analytics.admin_v1beta.types import CustomMetric
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridge.delivery.limits import PARAMS_PER_EVENT, VALUE_LENGTH, check
from bridge.google.definitions import SLOTS, Definition, compare, needed
from bridge.mongooseim.facts import (
    STANZA_TYPES,
    ClusterFacts,
    Incarnation,
    Module,
    ModuleSet,
    NodeFacts,
    TlsOption,
)
from bridge.mongooseim.wall import CUSTOM, HTTP_TRANSPORTS, WORDS
from bridge.report.events import EVENTS, events
from bridge.state.totals import stanza_counts
from tests.support.docs import DOCS

counts = st.none() | st.integers(0, 2**53)


def word(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*sorted(WORDS[words]), CUSTOM])


def some(words: set[str] | frozenset[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(sorted(words))).map(sorted).map(tuple)


modules = st.builds(
    Module,
    st.sampled_from(sorted(WORDS["module"])),
    st.none() | word("backend"),
    st.none() | word("online_backend"),
    st.none() | word("api_version"),
)
nodes = st.builds(
    NodeFacts,
    st.just("a@h"),
    st.none() | st.sampled_from(["6.8.0", CUSTOM]),
    st.none(),
    counts,
    counts,
    counts,
    st.none() | word("config_type"),
)
clusters = st.builds(
    ClusterFacts,
    nodes=st.lists(nodes, max_size=3).map(tuple),
    unreachable=st.just(()),
    cluster_id=st.none(),
    host_count=counts,
    domain_count=counts,
    modules=st.lists(st.builds(ModuleSet, st.lists(modules, max_size=3).map(tuple), st.integers(1, 3)), max_size=2).map(
        tuple
    ),
    custom_module_count=counts,
    http_api=some(WORDS["handler"]),
    transports=some(WORDS["transport"] | HTTP_TRANSPORTS),
    tls_options=st.lists(st.builds(TlsOption, word("tls_mode"), st.none() | word("tls_module")), max_size=2).map(tuple),
    outgoing_pools=st.lists(word("pool"), max_size=3).map(tuple),
    stanzas=st.dictionaries(st.sampled_from(STANZA_TYPES), st.integers(0, 2**53)).map(
        lambda totals: {Incarnation("a@h", 1): totals}
    ),
    own_reporter=st.just(False),
)


@given(clusters, st.booleans())
def test_every_parameter_of_a_report_is_shown_by_a_definition_of_its_kind(facts: ClusterFacts, aggregate: bool) -> None:
    registered = {one.parameter: one.kind for one in needed()}
    made = events(facts, stanza_counts({}, facts.stanzas), aggregate_modules=aggregate)
    assert check("1.1", made) == ()
    for event in made:
        for name, value in event.params.items():
            shown_by = EVENTS[event.name][name].shown_by
            assert not shown_by or shown_by in event.params
            kind = "dimension" if isinstance(event.params[shown_by or name], str) else "metric"
            assert registered[shown_by or name] == kind, (event.name, name, value)


def test_every_event_has_room_for_all_its_params_and_all_names_fit_one_value() -> None:
    assert max(map(len, EVENTS.values())) + 2 <= PARAMS_PER_EVENT
    everything = structs.replace(
        EMPTY, http_api=tuple(WORDS["handler"]), transports=tuple(WORDS["transport"] | HTTP_TRANSPORTS)
    )
    for event in events(everything):
        assert len(str(event.params["enabled"])) <= VALUE_LENGTH


EMPTY = ClusterFacts((), (), None, None, None, (), None, (), (), (), (), {}, own_reporter=False)


def test_definitions_keep_to_googles_rules() -> None:
    wanted = needed()
    for one in wanted:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", one.parameter)
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_ ]{0,81}", one.display_name)
        assert 0 < len(one.description) <= 150
    assert len({one.display_name for one in wanted}) == len(wanted), "GA4 takes each display name once"
    for kind in ("dimension", "metric"):
        assert sum(one.kind == kind for one in wanted) <= SLOTS
    units = CustomMetric.MeasurementUnit.__members__
    assert all(one.unit in units for one in wanted if one.kind == "metric")
    assert all(one.unit is None for one in wanted if one.kind == "dimension")


def test_a_fresh_property_lacks_everything_and_a_complete_one_nothing() -> None:
    fresh, complete = compare(()), compare(needed())
    assert fresh.missing == needed()
    assert fresh.left == {"dimension": SLOTS, "metric": SLOTS}
    assert complete.missing == ()
    assert not any(one.differences for one in complete.checked)
    assert sum(complete.left.values()) == 2 * SLOTS - len(needed())


def test_what_is_there_and_differs_is_named_and_not_missing() -> None:
    (module,) = [one for one in needed() if one.parameter == "module"]
    (uptime,) = [one for one in needed() if one.parameter == "uptime_seconds"]
    found = compare([replace(module, display_name="Mod"), replace(uptime, unit="HOURS", description="")])
    said = {one.wanted.parameter: one.differences for one in found.checked if one.present}
    assert said == {
        "module": ("display name is 'Mod'",),
        "uptime_seconds": ("description is ''", "unit is 'HOURS'"),
    }


@pytest.mark.parametrize(("used", "lacking"), [(33, 0), (45, 5), (50, 10)])
def test_a_property_without_room_says_how_much_is_lacking(used: int, lacking: int) -> None:
    others = [Definition("dimension", f"other_{number}", f"Other {number}") for number in range(used)]
    assert compare(others).lacking == ({"dimension": lacking} if lacking else {})


def test_a_definition_of_another_kind_is_another_definition() -> None:
    text = Definition("dimension", "value", "Value as text")
    assert "value" in {one.parameter for one in compare([text]).missing}


def test_the_page_lists_every_definition_and_no_other() -> None:
    page = (DOCS / "ga4-property.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (dimension|metric) \| (.+?) \| (.+?) \| (\w*) ?\|$", page, re.MULTILINE)
    assert rows == [(one.parameter, one.kind, one.display_name, one.description, one.unit or "") for one in needed()]
