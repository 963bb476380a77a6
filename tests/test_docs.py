"""The pages say what the program does: what they list is what can be sent, no more and no less."""

from __future__ import annotations

import re

from bridge.mongooseim.facts import (
    STANZA_TYPES,
    ClusterFacts,
    Incarnation,
    Module,
    ModuleSet,
    NodeFacts,
    TlsOption,
)
from bridge.mongooseim.wall import HTTP_TRANSPORTS, WORDS
from bridge.report.compare import Deviation
from bridge.report.events import EVENTS, SHORT_NAMES, events
from bridge.state.totals import stanza_counts
from tests.support.docs import DOCS, documented_events, documented_words


def everything() -> ClusterFacts:
    """A cluster in which everything that can be reported is there."""
    module = Module("mod_muc", "mnesia", "cets", "v3")
    return ClusterFacts(
        nodes=(NodeFacts("a@h", "6.8.0", "27", 1, 1, 1, "toml"),),
        unreachable=(),
        cluster_id=None,
        host_count=1,
        domain_count=1,
        modules=(ModuleSet((module,), 1),),
        custom_module_count=1,
        http_api=tuple(WORDS["handler"]),
        transports=tuple(WORDS["transport"] | HTTP_TRANSPORTS),
        tls_options=(TlsOption("tls", "fast_tls"),),
        outgoing_pools=("redis",),
        stanzas={Incarnation("a@h", 1): dict.fromkeys(STANZA_TYPES, 1)},
        own_reporter=False,
    )


def test_every_event_and_param_is_documented_with_its_meaning_and_no_other() -> None:
    assert documented_events() == {
        name: {param: declared.meaning for param, declared in params.items()} for name, params in EVENTS.items()
    }


def test_every_event_and_param_of_the_registry_can_be_sent_and_no_other() -> None:
    facts = everything()
    sent: dict[str, set[str]] = {}
    for aggregate in (False, True):
        for event in events(facts, stanza_counts({}, facts.stanzas), aggregate_modules=aggregate):
            sent.setdefault(event.name, set()).update(event.params)
            for param, value in event.params.items():
                assert isinstance(value, str if EVENTS[event.name][param].kind == "text" else int)
    assert sent == {name: set(params) for name, params in EVENTS.items()}


def test_every_word_that_may_pass_is_documented_and_no_other() -> None:
    titles = {
        "module": "Modules",
        "backend": "Backends",
        "online_backend": "Online backends",
        "api_version": "API versions",
        "tls_mode": "TLS modes",
        "tls_module": "TLS modules",
        "pool": "Pools",
        "config_type": "Configuration types",
    }
    for name, title in titles.items():
        assert documented_words(title) == WORDS[name]
    # Handlers and transports are params, which the registry has; a failure is for the operator only.
    assert WORDS.keys() - titles.keys() == {"handler", "transport", "failure"}
    assert WORDS["handler"] == EVENTS["http_api"].keys() - {"enabled"}
    assert WORDS["transport"] | HTTP_TRANSPORTS == EVENTS["transport_mechanism"].keys() - {"enabled"}
    named = set(SHORT_NAMES.values()) | SHORT_NAMES.keys() | {"enabled"}
    assert documented_words("Short names") == named
    assert SHORT_NAMES.keys() == WORDS["handler"] | WORDS["transport"]
    assert documented_words("Stanza types") == set(STANZA_TYPES)


def test_every_deviation_is_documented_and_no_other() -> None:
    text = (DOCS / "differences.md").read_text()
    section = text.split("\n## In the events\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^### (.+)$", section, re.MULTILINE)) == set(Deviation)
