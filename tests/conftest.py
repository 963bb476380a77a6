"""Fixtures that every folder may use come from the modules in `tests/support/`."""

from __future__ import annotations

from importlib.util import find_spec

_SUPPORT = ("cluster", "emulator", "browser")

pytest_plugins = [name for part in _SUPPORT if find_spec(name := f"tests.support.{part}")]
