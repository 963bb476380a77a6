"""Problems of the configuration, each with its place, raised all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (file and line, variable or option), which key, what, and what to do."""

    where: str
    key: str
    what: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """Place, key and problem, without the remedy."""
        return ": ".join(filter(None, (self.where, self.key, self.what)))

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


class ConfigError(BridgeError):
    """The configuration cannot be used; `problems` has every reason that was found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))
