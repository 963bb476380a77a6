"""Alerting rules and dashboard ask for metrics that there are, and each rule fires on what it is for alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bridge.health import metrics
from bridge.log_events import LOG_EVENTS
from tests.health.support import everything, metric_names
from tests.support.docs import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = DOCS / "deploy"
NAMES = metric_names()
LABELS = {"instance", "job", "destination", "outcome", "kind", "version"}
"""Those of our metrics, and the two that Prometheus adds."""


def promtool(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    if not shutil.which("promtool"):
        pytest.skip("no promtool here (Debian: apt-get install prometheus)")
    return subprocess.run(
        ["promtool", *map(str, arguments)],
        input=text,
        cwd=DEPLOY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[str]:
    """Every expression of the dashboard, and where it takes names from."""
    board = json.loads((DEPLOY / "grafana.json").read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    yield from (each["expr"] for each in board["annotations"]["list"])
    yield from (each["definition"] for each in board["templating"]["list"] if "definition" in each)


def names_in(text: str) -> set[str]:
    return set(re.findall(rf"{metrics.PREFIX}(\w+)", text))


def test_the_rules_ask_for_metrics_labels_and_notes_that_there_are() -> None:
    text = "\n".join(rule["expr"] for rule in rules())
    assert names_in(text) <= NAMES
    assert set(re.findall(r"[{,]\s*(\w+)\s*[=!]", text)) <= LABELS
    shown = json.dumps([rule["annotations"] for rule in rules()])
    assert set(re.findall(r"\$labels\.(\w+)", shown)) <= LABELS
    kinds = {kind for listed in re.findall(r'kind=~"([^"]*)"', text) for kind in listed.split("|")}
    assert kinds <= LOG_EVENTS
    assert len(kinds) == 5


def test_the_dashboard_shows_every_metric_that_no_rule_looks_at_and_no_other() -> None:
    shown = set().union(*map(names_in, expressions()))
    assert shown <= NAMES
    assert shown | names_in("\n".join(rule["expr"] for rule in rules())) == NAMES
    for expression in expressions():
        assert set(re.findall(r"[{,]\s*(\w+)\s*[=!]", expression)) <= LABELS
        assert "$instance" in expression or "label_values" in expression


def test_every_rule_has_series_on_which_it_fires_and_series_on_which_it_does_not() -> None:
    tests = yaml.safe_load((DEPLOY / "alerts_test.yml").read_text())["tests"]
    checks = [each for test in tests for each in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {each["alertname"] for each in checks if each.get("exp_alerts")} == names
    assert {each["alertname"] for each in checks if not each.get("exp_alerts")} == names


def test_promtool_finds_the_rules_right_and_sees_them_fire() -> None:
    for command in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")):
        done = promtool(*command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_own_linter_has_nothing_against_the_names() -> None:
    body, _ = metrics.exposition(everything(), "text/plain")
    text = body.decode()
    done = promtool("check", "metrics", text=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
