"""Whatever a node answers, only known words and numbers come out."""

import json
import os
import re
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.erlang.terms import Atom, BitString, Export, ImproperList, Map, Pid, Reference, Term
from bridge.mongooseim import wall
from bridge.mongooseim.answers import NodeAnswer, read_answer
from bridge.mongooseim.errors import BadAnswer
from bridge.mongooseim.facts import STANZA_TYPES
from bridge.mongooseim.merge import merge
from bridge.mongooseim.probes import PROBES
from bridge.report.events import EVENTS, SHORT_NAMES, events
from bridge.state.totals import stanza_counts

MARKER = "s3cr3t"
EXAMPLES = int(os.environ.get("EXAMPLES", "150"))
"""Of whole answers; `make fuzz` takes many."""
NODE = (Atom("node"), (Atom("ok"), (Atom("mongooseim@localhost"), [])))

WORDS = frozenset(chain.from_iterable(wall.WORDS.values())) | frozenset(STANZA_TYPES) | {"custom", "enabled"}
SHAPES = re.compile(r"\d{4,}-\d\d:\d\d:\d\d|\d{1,3}\.\d{1,3}\.\d{1,3}")

hostile_text = st.one_of(
    st.text(max_size=20).map(lambda text: MARKER + text),
    st.sampled_from(["_firebase", "ga_custom", "session_start", "a" * 300, "\x1b[2Jacme", "mod_acme_s3cr3t", "ü", ""]),
)
names = st.one_of(
    hostile_text.map(lambda text: Atom(text[:255])),
    st.sampled_from(sorted(WORDS)).map(Atom),
    hostile_text.map(str.encode),
    st.binary(max_size=30),
    hostile_text.map(lambda text: [ord(character) for character in text]),
)
extremes = st.one_of(st.integers(), st.sampled_from([2**53, 2**70, -1, 10**400]))
leaves = st.one_of(
    names,
    extremes,
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([Atom("none"), Atom("undefined"), Atom("true"), [], (), {}]),
    st.builds(lambda name: Pid(Atom(name[:255]), 1, 2, 3), hostile_text),
    st.builds(lambda name: Reference(Atom(name[:255]), (1, 2), 3), hostile_text),
    st.just(BitString(b"\xf0", 4)),
    st.just(Export(Atom("mod_s3cr3t"), Atom("f"), 1)),
)


def nested(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(names.filter(lambda name: isinstance(name, (Atom, bytes))), inner, max_size=3),
        st.builds(ImproperList, st.lists(inner, min_size=1, max_size=3), leaves.filter(lambda t: type(t) is not list)),
        st.builds(lambda key, value: Map([(key, value)]), inner, inner),
    )


terms = st.recursive(leaves, nested, max_leaves=6)
options = st.lists(st.tuples(st.one_of(names, st.sampled_from(sorted(wall.OPTIONS)).map(Atom)), terms), max_size=3)
metrics = st.lists(st.tuples(st.sampled_from(sorted(wall.MODULES)).map(Atom), options), min_size=1, max_size=4)
shaped = {
    "modules": st.tuples(
        st.lists(
            st.tuples(st.lists(names, max_size=4), metrics, st.lists(st.integers(0, 5), max_size=3)).map(
                lambda group: ([*group[0], *(module for module, _ in group[1])], *group[1:])
            ),
            max_size=3,
        ),
        st.lists(extremes, max_size=3),
    ),
    "http_handlers": st.lists(names),
    "c2s_transports": st.lists(names),
    "c2s_tls": st.lists(st.tuples(names, names)),
    "outgoing_pools": st.lists(names),
    "stanza_counts": st.tuples(extremes, st.lists(st.tuples(names, terms))),
    "version": st.lists(names, min_size=1),
    "config_type": names,
    "cluster_id": names,
    **dict.fromkeys(["uptime", "components", "host_count", "domain_count"], extremes),
}
failures = st.tuples(st.just(Atom("failed")), terms, terms)


def ok(probe: str, value: Term) -> Term:
    return (Atom(probe), (Atom("ok"), value))


def answered(probe: str) -> st.SearchStrategy[Term]:
    """What a probe may answer: mostly of the shape that is read, with anything in it."""
    expected = st.tuples(st.just(Atom("ok")), shaped.get(probe, terms))
    outcome = st.one_of(expected, expected, expected, st.tuples(st.just(Atom("ok")), terms), failures, terms)
    return outcome.map(lambda given: (Atom(probe), given))


# The version always answers something, as nothing else is read of a node where MongooseIM does not run.
replies = st.tuples(
    st.one_of(st.just(ok("version", [b"6.8.0"])), answered("version")),
    st.lists(st.sampled_from(PROBES[1:]).flatmap(answered), max_size=6),
).map(lambda rest: [NODE, rest[0], *rest[1]])


def read(reply: Term) -> NodeAnswer:
    return read_answer(reply, "mongooseim@localhost")


def check(reply: Term) -> None:
    try:
        answer = read(reply)
    except BadAnswer as error:
        shown = str(error)
        assert MARKER not in shown
        return
    facts = merge([answer])
    for aggregate in (False, True):
        for event in events(facts, stanza_counts({}, facts.stanzas), aggregate_modules=aggregate):
            assert event.name in EVENTS
            for name, value in event.params.items():
                assert name in EVENTS[event.name]
                if name == "enabled":
                    assert set(str(value).split(", ")) <= set(SHORT_NAMES.values())
                elif isinstance(value, str):
                    assert value in WORDS or SHAPES.fullmatch(value), value
                else:
                    assert type(value) is int
                    assert 0 <= value < 6 * 2**53
            assert MARKER not in json.dumps(dict(event.params))
    assert MARKER not in repr(facts.notes)
    assert facts.cluster_id is None or re.fullmatch(r"[0-9a-f-]{36}", facts.cluster_id)


@settings(max_examples=EXAMPLES)
@given(replies)
def test_only_known_words_and_numbers_come_out(reply: Term) -> None:
    check(reply)


@given(terms)
def test_an_answer_of_any_other_shape_is_refused_without_repeating_it(reply: Term) -> None:
    check(reply)


# Several answers at once are often too large for Hypothesis, which discards them and counts that as filtered.
@settings(max_examples=EXAMPLES // 4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.lists(replies, min_size=2, max_size=3))
def test_merging_nodes_opens_no_hole(given_replies: list[Term]) -> None:
    answers = []
    for reply in given_replies:
        try:
            answers.append(read(reply))
        except BadAnswer:
            continue
    if answers:
        facts = merge(answers)
        assert MARKER not in repr([dict(event.params) for event in events(facts, stanza_counts({}, facts.stanzas))])


@pytest.mark.parametrize(
    ("given_version", "shown"),
    [
        ("6.8.0", "6.8.0"),
        ("6.2.1-35-gabc123", "6.2.1"),
        ("6.8.0-acme-internal", "6.8.0"),
        ("6.8.0.acme", "custom"),
        ("acme-6.8.0", "custom"),
        ("6.8", "custom"),
        ("1111.2.3", "custom"),
        ("", "custom"),
    ],
)
def test_a_version_is_a_release_number_and_nothing_more(given_version: str, shown: str) -> None:
    assert wall.version([ord(character) for character in given_version]) == shown
    assert wall.version(given_version.encode()) == shown


def test_the_last_value_of_an_option_counts_and_a_custom_one_is_not_named() -> None:
    loaded = [Atom("mod_acme"), Atom("mod_event_pusher"), Atom("mod_roster")]
    metrics = [
        (Atom("mod_event_pusher"), [(Atom("backend"), Atom("http")), (Atom("backend"), Atom("push"))]),
        (Atom("mod_roster"), [(Atom("backend"), Atom("acme_store")), (Atom("password"), Atom("s3cr3t"))]),
    ]
    facts = merge([read([NODE, version("6.8.0"), ok("modules", ([(loaded, metrics, [1, 2])], [7, 8, 7]))])])
    assert facts.custom_module_count == 2, "those that the node counted, not what it should not have named"
    (group,) = facts.modules
    assert group.host_types == 2
    assert [(module.name, module.backend) for module in group.modules] == [
        ("mod_event_pusher", "push"),
        ("mod_roster", "custom"),
    ]


def version(text: str) -> Term:
    return ok("version", [text.encode()])


@pytest.mark.parametrize(
    ("cluster_id", "pools", "kept"),
    [
        ("2b8a3b2e-7f2d-4c5b-9a25-0c0f6b6f0b11", ["rdbms"], True),
        ("ephemeral-2b8a3b2e-7f2d-4c5b-9a25-0c0f6b6f0b11", ["rdbms"], False),
        # up to 6.3.2 an id that no database keeps is not marked
        ("2b8a3b2e-7f2d-4c5b-9a25-0c0f6b6f0b11", ["redis"], False),
        ("mongooseim@acme.example", ["rdbms"], False),
    ],
)
def test_only_a_random_id_that_a_database_keeps_is_used(cluster_id: str, pools: list[str], *, kept: bool) -> None:
    pool_types = ok("outgoing_pools", [Atom(pool) for pool in pools])
    reply = [NODE, version("6.3.0"), pool_types, ok("cluster_id", cluster_id.encode())]
    assert merge([read(reply)]).cluster_id == (cluster_id if kept else None)


def test_a_member_s_name_that_would_break_a_terminal_is_escaped_and_costs_nobody_else() -> None:
    members = [Atom("mongooseim2@localhost"), Atom("a\x1b]0;x\x07@h"), Atom("b\n@h")]
    answer = read([(Atom("node"), (Atom("ok"), (Atom("mongooseim@localhost"), members))), version("6.8.0")])
    assert answer.members[0] == "mongooseim2@localhost"
    assert all(name.isprintable() for name in answer.members)
    assert answer.node_number == 4


@pytest.mark.parametrize("probe", [probe for probe in PROBES if probe not in {"node", "version"}])
def test_an_answer_nested_too_deeply_costs_its_fact(probe: str) -> None:
    deep: Term = 1
    for _ in range(100_000):
        deep = (deep,)
    shapes: list[Term] = [
        deep,
        [deep],
        [(deep, deep)],
        ([([Atom("mod_muc")], [(deep, [])], [1])], [deep]),
        (1, [(deep, 2)]),
    ]
    for shape in shapes:
        answer = read([NODE, version("6.8.0"), ok("uptime", 5), ok(probe, shape)])
        assert answer.uptime_seconds == (None if probe == "uptime" else 5)
        check([NODE, version("6.8.0"), ok(probe, shape)])


def test_an_answer_nested_too_deeply_in_what_every_answer_has_costs_its_node() -> None:
    deep: Term = 1
    for _ in range(100_000):
        deep = (deep,)
    with pytest.raises(BadAnswer):
        read([(Atom("node"), (Atom("ok"), (Atom("mongooseim@localhost"), [deep]))), version("6.8.0")])
