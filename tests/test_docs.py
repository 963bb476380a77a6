"""The pages say what the program does: what they list is what can be sent, no more and no less."""

from __future__ import annotations

import re

from bridge.mongooseim import known
from bridge.mongooseim.facts import (
    STANZA_TYPES,
    ClusterFacts,
    Incarnation,
    Module,
    ModuleSet,
    NodeFacts,
    TlsOption,
)
from bridge.report.compare import Deviation
from bridge.report.events import events
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
        http_api=tuple(known.HANDLERS),
        transports=tuple(known.TRANSPORTS | known.HTTP_TRANSPORTS),
        tls_options=(TlsOption("tls", "fast_tls"),),
        outgoing_pools=("redis",),
        stanzas={Incarnation("a@h", 1): dict.fromkeys(STANZA_TYPES, 1)},
        own_reporter=False,
    )


def test_every_event_and_param_that_can_be_sent_is_documented_and_no_other() -> None:
    facts = everything()
    sent: dict[str, set[str]] = {}
    for aggregate in (False, True):
        for event in events(facts, stanza_counts({}, facts.stanzas), aggregate_modules=aggregate):
            sent.setdefault(event.name, set()).update(event.params)
    assert documented_events() == sent


def test_every_word_that_may_pass_is_documented_and_no_other() -> None:
    assert documented_words("Modules") == known.MODULES
    assert documented_words("Backends") == known.OPTIONS["backend"]
    assert documented_words("Online backends") == known.OPTIONS["online_backend"]
    assert documented_words("API versions") == known.OPTIONS["api_version"]
    assert documented_words("TLS modes") == known.TLS_MODES
    assert documented_words("TLS modules") == known.TLS_MODULES
    assert documented_words("Pools") == known.POOLS
    assert documented_words("Configuration types") == known.CONFIG_TYPES
    assert documented_words("Stanza types") == set(STANZA_TYPES)


def test_every_deviation_is_documented_and_no_other() -> None:
    text = (DOCS / "differences.md").read_text()
    section = text.split("\n## In the events\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^### (.+)$", section, re.MULTILINE)) == set(Deviation)


def test_links_between_pages_lead_somewhere() -> None:
    root = DOCS.parent
    pages = [*DOCS.rglob("*.md"), *(page for page in root.glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
