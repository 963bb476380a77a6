"""The list of known modules: where it comes from, and what an operator sees who runs a release that is newer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bridge.config.model import Settings
from bridge.mongooseim.wall import MODULES, NEWEST, is_newer
from bridge.service.reporting import build_report
from tests.mongooseim.known_modules import BEHAVIOURS, main, modules_of
from tests.support.bridge import Bridge
from tests.test_docs import everything

if TYPE_CHECKING:
    from erlang_stubs.cluster import StubCluster

LISTED = Path(__file__).with_name("known_modules.tsv")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small made-up one: modules of the wall and others, in folders, with comments and look-alikes."""
    sources = {
        "mod_ping.erl": "-module (mod_ping).\n-behaviour(gen_mod).\n",
        "muc/mod_muc.erl": "%% -module(not_this).\n-module( mod_muc ).\n-behavior( mongoose_module_metrics ).\n",
        "mod_commented.erl": "-module(mod_commented).\n% -behaviour(gen_mod).\n",
        "mod_other.erl": "-module(mod_other).\n-behaviour(gen_server).\n",
        "notes.txt": "-module(mod_text).\n-behaviour(gen_mod).\n",
    }
    for name, text in sources.items():
        file = tmp_path / "src" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_the_wall_has_the_modules_of_every_release_that_was_looked_at_and_no_others() -> None:
    rows = [line.split("\t") for line in LISTED.read_text().splitlines()[1:]]
    assert {name for name, *_ in rows} == MODULES
    assert max(tuple(map(int, last.split("."))) for _, _, last, _ in rows) == tuple(map(int, NEWEST.split(".")))
    assert {behaviour for *_, listed in rows for behaviour in listed.split(",")} == set(BEHAVIOURS)


def test_the_modules_of_a_checkout_are_those_whose_source_says_so(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert modules_of(checkout) == {"mod_ping", "mod_muc"}
    assert main(checkout) == 0
    (checkout / "src" / "mod_new.erl").write_text("-module(mod_new).\n-behaviour(gen_mod).\n")
    assert main(checkout) == 1
    assert "unknown to the wall: mod_new\n" in capsys.readouterr().out
    assert main(checkout / "src") == 2


@pytest.mark.parametrize(
    ("release", "newer"),
    [("6.8.0", False), ("6.7.9", False), ("6.8.1", True), ("6.10.0", True), ("7.0.0", True), ("custom", False)],
)
def test_a_release_beyond_the_lists_is_told_apart(release: str, newer: bool) -> None:
    assert is_newer(release) is newer


@pytest.mark.parametrize(("release", "custom", "noted"), [("6.9.0", 2, True), ("6.9.0", 0, False), ("6.8.0", 2, False)])
def test_unknown_modules_are_pointed_out_on_a_newer_release_only(release: str, custom: int, noted: bool) -> None:
    facts = everything()
    facts = replace(facts, nodes=(replace(facts.nodes[0], version=release),), custom_module_count=custom)
    notes = [
        str(note) for note in build_report(facts, {}, "1.2", 0, Settings()).notes if note.kind == "unknown_modules"
    ]
    assert bool(notes) is noted
    if noted:
        assert notes[0].startswith(
            "2 unknown modules on a release newer than this bridge knows (6.9.0, known up to 6.8.0); "
        )


def test_what_the_operator_names_is_reported_by_name_and_nothing_else_is(
    tmp_path: Path, default_cluster: StubCluster
) -> None:
    bridge = Bridge(tmp_path, default_cluster.environ)
    before = bridge.run("preview", "--format", "json")
    assert "acme" not in before.out
    bridge.settings = 'also_known = ["mod_acme_archive", "mod_not_there"]'
    bridge.configure()
    after = bridge.run("preview", "--format", "json")
    assert "note: reported by name because of bridge.also_known: mod_acme_archive\n" in after.err
    modules = [event["params"] for event in after.json()["events"] if event["name"] == "module_with_opt"]
    assert [params for params in modules if "acme" in params["module"]] == [
        {"module": "mod_acme_archive", "backend": "custom"}
    ]
    assert "billing" not in after.out
    counts = [
        event["params"]["value"]
        for result in (before, after)
        for event in result.json()["events"]
        if event["name"] == "custom_module_count"
    ]
    assert counts == [2, 1]


def test_a_name_that_is_no_module_s_is_refused(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path, {"MONGOOSEIM_BRIDGE_COOKIE": "monster"}, settings='also_known = ["Acme corp"]')
    result = bridge.run("config", "check")
    assert result.code == 2
    assert "bridge.also_known" in result.err
