"""The code takes no text apart and listens in one place only; `make lint` holds it to the map of architecture.md."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge

if TYPE_CHECKING:
    from collections.abc import Iterator

TAKES_APART = {"split", "rsplit", "partition", "rpartition"}
LISTENS = {"bind", "listen", "create_server", "start_server", "start_unix_server", "create_datagram_endpoint"}
SERVER = "http_server"
"""The one module that listens; the health listener and the emulator alone use it."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the program by its name within it, with its syntax tree."""
    package = Path(bridge.__path__[0])
    return {
        ".".join(path.relative_to(package).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    }


def calls(tree: ast.Module) -> Iterator[tuple[str, list[ast.expr]]]:
    """Each call of a method or function, by the last part of its name, with its arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node.args


def separators(tree: ast.Module) -> list[object]:
    """What texts are taken apart at."""
    return [
        argument.value
        for name, arguments in calls(tree)
        if name in TAKES_APART
        for argument in arguments
        if isinstance(argument, ast.Constant)
    ]


def listening(tree: ast.Module) -> set[str]:
    """The calls that open a socket for others to connect to."""
    return {name for name, _ in calls(tree)} & LISTENS


def imported(tree: ast.Module) -> set[str]:
    """Every module that is imported, anywhere in the file."""
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_no_text_is_taken_apart_at_a_semicolon() -> None:
    """What and remedy of an error are fields; a text that is put together is for people."""
    assert [name for name, tree in modules().items() if "; " in separators(tree)] == []


def test_nothing_listens_but_the_health_listener_and_the_emulator() -> None:
    assert {name for name, tree in modules().items() if listening(tree)} == {SERVER}
    users = {name.partition(".")[0] for name, tree in modules().items() if f"bridge.{SERVER}" in imported(tree)}
    assert users == {"emulator", "health", "web_page"}


@pytest.mark.parametrize("code", ["a.partition('; ')", "a.b().rsplit('; ', 1)", "str.split(a, '; ')"])
def test_a_text_that_is_taken_apart_is_noticed(code: str) -> None:
    assert "; " in separators(ast.parse(code))


@pytest.mark.parametrize("code", ["asyncio.start_server(f)", "loop.create_server(f)", "socket().bind(('', 0))"])
def test_a_socket_that_listens_is_noticed(code: str) -> None:
    assert listening(ast.parse(code))
