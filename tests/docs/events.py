"""Every event that the code can log, found in its source: literal `Line("…")`, and what `Troubles` tells."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = Path(__file__).parents[2] / "bridge"
_TROUBLES = {"begin": 1, "failed": 1, "end": 2, "only": 2}
"""Methods of Troubles, and how many of their first arguments name events."""


def logged_events() -> set[str]:
    """The names of all events."""
    return {name for path in CODE.rglob("*.py") for name in _named(ast.parse(path.read_text()))}


def _named(tree: ast.Module) -> Iterator[str]:
    variables = dict(_assigned(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        names: list[ast.expr] = []
        if isinstance(node.func, ast.Name) and node.func.id == "Line":
            names = node.args[:1]
        elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).lower().endswith("troubles"):
            names = node.args[: _TROUBLES.get(node.func.attr, 0)]
        for name in names:
            yield from _texts(name) or variables.get(ast.unparse(name), ())


def _assigned(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The variables that get one of several literals, as `kind = "a" if … else "b"` and `for kind in ("a", "b")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0]), _texts(node.value)
        elif isinstance(node, ast.For):
            yield ast.unparse(node.target), _texts(node.iter)


def _texts(node: ast.expr) -> tuple[str, ...]:
    """The literals that an expression can be."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    if isinstance(node, ast.Tuple):
        return tuple(text for each in node.elts for text in _texts(each))
    return (node.value,) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ()
