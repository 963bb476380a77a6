"""Problems of the configuration, each with its place, raised all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")
_P = ParamSpec("_P")


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


class Problems(list[Problem]):
    """Gathers what is wrong, so that all of it is told at once."""

    def attempt(self, make: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        """What is made, or None and the problems that it has."""
        try:
            return make(*args, **kwargs)
        except ConfigError as error:
            self.extend(error.problems)
            return None

    def check(self) -> None:
        """Go on only where there is no problem.

        Raises:
            ConfigError: with all of them.
        """
        if self:
            raise ConfigError(self)
