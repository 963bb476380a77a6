"""Fixtures that every folder may use come from the modules in `tests/support/`."""

from __future__ import annotations

pytest_plugins = [f"tests.support.{part}" for part in ("bridge", "browser", "cluster", "emulator")]
