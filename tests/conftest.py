"""Fixtures that every folder may use come from the modules in `tests/support/`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = [f"tests.support.{part}" for part in ("bridge", "browser", "cluster", "emulator")]

# How long an example takes says nothing on a shared machine.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
