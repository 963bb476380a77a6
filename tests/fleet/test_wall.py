"""No answer tells of a group of fewer than k installations, itself or by subtraction."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.fleet.local import translated
from bridge.fleet.questions import part

K = 5
SHOWN = translated(part("shown"))
DATABASE = duckdb.connect(config={"threads": 1})


def shown(members: Collection[tuple[str, str, int]], k: int = K) -> dict[str, dict[str, int]]:
    """What the wall lets through: installations by item and section."""
    sections, items, installations = ([member[index] for member in members] for index in range(3))
    DATABASE.execute(
        "CREATE OR REPLACE TABLE members AS "
        "SELECT unnest($s::VARCHAR[]) AS section, unnest($i::VARCHAR[]) AS item, unnest($n::BIGINT[]) AS installation, "
        "0 AS amount",
        {"s": sections, "i": items, "n": installations},
    )
    answer: dict[str, dict[str, int]] = defaultdict(dict)
    for section, item, number, _, _ in DATABASE.execute(SHOWN, {"k": k}).fetchall():
        answer[section][item] = number
    return answer


def partition(sizes: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """A section in which each installation has one item."""
    items = [item for item, size in sizes.items() for _ in range(size)]
    return [("all", item, number) for number, item in enumerate(items)]


@pytest.mark.parametrize(
    ("sizes", "answer"),
    [
        ({"a": 20, "b": 10}, {"a": 20, "b": 10}),
        ({"a": 20, "b": 10, "c": 3, "d": 2}, {"a": 20, "b": 10, "(rare)": 5}),
        ({"a": 20, "b": 10, "c": 3}, {"a": 20, "(rare)": 13}),
        ({"a": 27, "c": 3}, {"a": 30}),
        ({"a": 4}, {}),
        ({"a": 2, "b": 2, "c": 2}, {"(rare)": 6}),
        ({"a": 5}, {"a": 5}),
    ],
    ids=["large", "rare", "joined", "nearly all", "too few", "all rare", "just enough"],
)
def test_small_groups_are_put_together(sizes: dict[str, int], answer: dict[str, int]) -> None:
    assert shown(partition(sizes)) == ({"all": answer} if answer else {})


def test_k_of_one_shows_everything() -> None:
    assert shown(partition({"a": 2, "b": 1}), k=1) == {"all": {"a": 2, "b": 1}}


def test_a_section_that_few_are_missing_from_counts_as_the_whole() -> None:
    """Else the two that have no transport could be counted by those who have."""
    everybody = [("module", "mod_roster", number) for number in range(30)]
    most = [("transport", "tcp", number) for number in range(28)]

    assert shown([*everybody, *most]) == {"module": {"mod_roster": 30}, "transport": {"tcp": 30}}


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 30), min_size=1))
def test_in_a_partition_no_small_group_can_be_worked_out(sizes: dict[str, int]) -> None:
    answer = shown(partition(sizes)).get("all", {})
    population = sum(sizes.values())

    assert all(count >= K for count in answer.values())
    rest = population - sum(answer.values())
    assert rest <= 0 or rest >= K or not answer
    for item, count in answer.items():
        true = sizes.get(item, count)
        assert count == true or (count == population and population - true < K)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.tuples(st.sampled_from("st"), st.sampled_from("abcdef"), st.integers(0, 25)), max_size=120))
def test_the_sql_agrees_with_plain_python(members: set[tuple[str, str, int]]) -> None:
    assert shown(members) == in_python(members, K)


def in_python(members: set[tuple[str, str, int]], k: int) -> dict[str, dict[str, int]]:
    everybody = {installation for _, _, installation in members}
    answer: dict[str, dict[str, int]] = {}
    for section in {section for section, _, _ in members}:
        items: dict[str, set[int]] = defaultdict(set)
        for _, item, installation in (member for member in members if member[0] == section):
            items[item].add(installation)
        present = set.union(*items.values())
        population = len(everybody) if len(everybody - present) < k else len(present)
        kept: dict[str, set[int]] = defaultdict(set)
        smaller: set[int] = set()
        for item, those in sorted(items.items(), key=lambda each: (len(each[1]), each[0])):
            joins = 0 < len(smaller) < k and population - len(those) >= k
            kept["(rare)" if len(those) < k or joins else item] |= those
            smaller |= those
        counts = {item: len(those) for item, those in kept.items() if len(those) >= k}
        if counts:
            answer[section] = {item: population if population - n < k else n for item, n in counts.items()}
    return answer
