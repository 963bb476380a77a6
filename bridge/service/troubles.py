"""What is wrong at the moment, told once: a WARNING when it begins, DEBUG while it lasts, an INFO when it is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


class Troubles:
    """The troubles of one service, each by a kind and, where there can be many of a kind, by whom it is about."""

    def __init__(self) -> None:
        self._lasting: dict[tuple[str, str], int] = {}

    def begin(self, kind: str, about: str = "", **fields: object) -> None:
        """Something is wrong, perhaps still; `kind` is the name of the event."""
        times = self._lasting[kind, about] = self._lasting.get((kind, about), 0) + 1
        log.log(logging.WARNING if times == 1 else logging.DEBUG, Line(kind, **fields))

    def failed(self, kind: str, error: Exception, about: str = "", **fields: object) -> None:
        """Something raised an error; one that nobody foresaw is an ERROR with its traceback, once."""
        if isinstance(error, BridgeError):
            self.begin(kind, about, **fields, problem=error)
            return
        times = self._lasting[kind, about] = self._lasting.get((kind, about), 0) + 1
        line = Line(kind, **fields, problem=f"unforeseen {type(error).__name__}; please report this with the traceback")
        log.log(logging.ERROR if times == 1 else logging.DEBUG, line, exc_info=error if times == 1 else None)

    def end(self, kind: str, event: str, about: str = "", **fields: object) -> None:
        """It is right (again); `event` is told where it was wrong, with how often that was found."""
        times = self._lasting.pop((kind, about), 0)
        if times:
            log.info(Line(event, **fields, times=times))

    def only(self, kind: str, event: str, name: str, present: Mapping[str, str]) -> None:
        """Of a kind of trouble exactly these are present: tell which are new, and which are over.

        Args:
            kind: the event that tells of a new one.
            event: the event that tells that one is over.
            name: the field that says whom it is about.
            present: whom it is about, and the problem of each.
        """
        for about, problem in present.items():
            self.begin(kind, about, **{name: about}, problem=problem)
        over = [about for lasting, about in self._lasting if lasting == kind and about not in present]
        for about in over:
            self.end(kind, event, about, **{name: about})
