"""Adds the man page to the wheel; it is made from the commands, so it is made when the wheel is."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPage(BuildHookInterface):  # type: ignore[type-arg]
    """The hook that hatchling calls before and after a wheel is put together."""

    def initialize(self, version: str, build_data: dict[str, dict[str, str]]) -> None:
        """Write the man page where the wheel takes it from; an editable install has the checkout instead."""
        if version == "editable":
            return
        self._directory = TemporaryDirectory()
        sys.path.insert(0, self.root)
        from bridge.cli.man import page  # noqa: PLC0415 - of the tree that is built

        file = Path(self._directory.name) / "mongooseim-bridge.1"
        file.write_text(page(), encoding="utf-8")
        build_data["shared_data"][str(file)] = "share/man/man1/mongooseim-bridge.1"

    def finalize(self, version: str, build_data: dict[str, dict[str, str]], artifact_path: str) -> None:
        """Remove what was written."""
        if version != "editable":
            self._directory.cleanup()
