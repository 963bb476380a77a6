"""Over random fleets each question's answer is what plain Python computes from the reports."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fleet.support import answers, on, report, write_lines
from tests.fleet.test_wall import in_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

    from tests.fleet.support import Exported

K = 2
FIRST = date(2026, 11, 1)
"""A Sunday."""
DAYS = 12

Members = set[tuple[str, str, str]]


@dataclass(frozen=True)
class Said:
    """One report of one installation."""

    installation: str
    day: int
    hour: int
    host_types: int
    domains: int
    custom: int
    nodes: tuple[tuple[str, int, int], ...]
    """Version, components and seconds since the start of each."""
    modules: frozenset[tuple[str, str | None]]
    transports: frozenset[str]
    pools: tuple[str, ...]
    sent: int
    country: str

    @property
    def date(self) -> date:
        return FIRST + timedelta(days=self.day)

    @property
    def version(self) -> str:
        return " and ".join(sorted({version for version, _, _ in self.nodes}))

    def exported(self) -> list[Exported]:
        counts = {
            "host_count": self.host_types,
            "domain_count": self.domains,
            "custom_module_count": self.custom,
        }
        events = [(name, {"value": value}) for name, value in counts.items()]
        for version, components, uptime in self.nodes:
            params = {
                "version": version,
                "component": components,
                "node_number": len(self.nodes),
                "uptime": f"{uptime}",
            }
            events.append(("cluster", params))
        for name, backend in self.modules:
            events.append(("module_with_opt", {"module": name, **({"backend": backend} if backend else {})}))
        if self.transports:
            events.append(("transport_mechanism", dict.fromkeys(self.transports, "enabled")))
        events += [("outgoing_pool", {"value": pool}) for pool in self.pools]
        events.append(("xmpp_stanza_count", {"stanza_type": "xmppMessageSent", "increment": self.sent}))
        return report(self.installation, on(self.date, self.hour), *events, country=self.country)


modules = st.tuples(st.sampled_from(["mod_mam", "mod_muc"]), st.sampled_from(["rdbms", "mnesia"])) | st.tuples(
    st.just("mod_ping"), st.none()
)
nodes = st.tuples(st.sampled_from(["6.7.0", "6.8.0"]), st.integers(0, 3), st.integers(0, 10**6))
reports = st.builds(
    Said,
    installation=st.sampled_from("abcdefg"),
    day=st.integers(0, DAYS - 1),
    hour=st.sampled_from([3, 12, 21]),
    host_types=st.integers(1, 9),
    domains=st.integers(0, 40),
    custom=st.integers(0, 8),
    nodes=st.lists(nodes, min_size=1, max_size=3, unique_by=lambda node: node[2]).map(tuple),
    modules=st.frozensets(modules, min_size=1),
    transports=st.frozensets(st.sampled_from(["tcp", "mongoose_bosh_handler"])),
    pools=st.lists(st.sampled_from(["rdbms", "redis"]), max_size=2).map(tuple),
    sent=st.integers(0, 100),
    country=st.sampled_from(["", "Poland"]),
)
fleets = st.lists(reports, min_size=1, max_size=25, unique_by=lambda said: (said.installation, said.day, said.hour))


@settings(max_examples=8, deadline=None)
@given(fleet=fleets)
def test_each_answer_is_what_plain_python_computes(fleet: list[Said], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_lines(tmp_path_factory.mktemp("fleet"), (event for said in fleet for event in said.exported()))
    last = FIRST + timedelta(days=DAYS - 1)
    given = answers(folder, k=K, first=FIRST, last=last)

    expected = {name: in_python(members, K) for name, members in all_members(fleet, last).items()}
    shown: dict[str, dict[str, dict[str, int]]] = {name: defaultdict(dict) for name in given}
    for name, rows in given.items():
        for section, item, installations, *_ in rows:
            shown[name][str(section)][str(item)] = int(installations or 0)
    assert shown == expected
    assert {row[0]: row[4] for row in given["stanzas"]} == {
        day: sum(said.sent for said in fleet if f"{said.date}" == day) for day in expected["stanzas"]
    }


def all_members(fleet: Sequence[Said], last: date) -> Mapping[str, Members]:
    """Who is in which item of which section, question by question."""
    daily = {(said.installation, said.day): said for said in sorted(fleet, key=lambda said: said.hour)}.values()
    latest = {said.installation: said for said in sorted(daily, key=lambda said: said.day)}.values()
    return {
        "active": set(active(daily)),
        "versions": {("MongooseIM", said.version, said.installation) for said in latest},
        "versions_over_time": {(f"{said.date}", said.version, said.installation) for said in daily},
        "features": {
            (kind, name, said.installation)
            for said in latest
            for kind, names in {
                "module": {name for name, _ in said.modules},
                "transport": said.transports,
                "outgoing pool": said.pools,
            }.items()
            for name in names
        },
        "backends": set(backends(latest)),
        "combinations": {
            (one, other, said.installation)
            for said in latest
            for one, _ in said.modules
            for other, _ in said.modules
            if one != other
        },
        "sizes": {
            (of, power(number), said.installation)
            for said in latest
            for of, number in {
                "nodes": len(said.nodes),
                "host types": said.host_types,
                "domains": said.domains,
            }.items()
        },
        "custom": {
            (of, f"{number}" if number < 5 else "5 or more", said.installation)
            for said in latest
            for of, number in {
                "custom modules": said.custom,
                "components": sum(components for _, components, _ in said.nodes),
            }.items()
        },
        "stanzas": {(f"{said.date}", "xmppMessageSent", said.installation) for said in fleet},
        "countries": {("country", said.country or "(not said)", said.installation) for said in latest},
        "silent": {
            (f"{said.date - timedelta(days=said.date.weekday())}", said.version, said.installation)
            for said in latest
            if (last - said.date).days >= 7
        },
    }


def active(daily: Sequence[Said]) -> Iterator[tuple[str, str, str]]:
    for day in {said.date for said in daily}:
        for said in daily:
            if said.date == day:
                yield f"{day}", "on the day", said.installation
            if 0 <= (day - said.date).days < 7:
                yield f"{day}", "in seven days", said.installation


def backends(latest: Sequence[Said]) -> Iterator[tuple[str, str, str]]:
    for module in {name for said in latest for name, backend in said.modules if backend}:
        for said in latest:
            used = {backend for name, backend in said.modules if name == module}
            for backend in used or {"(module not used)"}:
                yield module, backend or "(none)", said.installation


def power(number: int) -> str:
    """The range of powers of two that a number is in."""
    if number < 2:
        return f"{number}"
    least = 1 << (number.bit_length() - 1)
    return f"{least} to {2 * least - 1}"
