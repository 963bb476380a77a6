"""What is wrong at the moment, logged once: a WARNING when it begins, DEBUG while it lasts, an INFO when it is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.log import Line
from bridge.log_events import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


class Conditions:
    """The conditions of one process, each by a kind and, where there can be many of a kind, by whom it is about."""

    def __init__(self) -> None:
        self._lasting: dict[tuple[str, str], int] = {}

    def begin(self, kind: str, about: str = "", **fields: object) -> None:
        """Something is wrong, perhaps still; `kind` is the event that begins it."""
        log.log(logging.WARNING if self._first(kind, about) else logging.DEBUG, Line(kind, **fields))

    def failed(self, kind: str, error: Exception, about: str = "", **fields: object) -> None:
        """Something raised an error; one that nobody foresaw is an ERROR with its traceback, once."""
        if isinstance(error, BridgeError):
            self.begin(kind, about, **fields, problem=error)
            return
        line = Line(kind, **fields, problem=f"unforeseen {type(error).__name__}; please report this with the traceback")
        first = self._first(kind, about)
        log.log(logging.ERROR if first else logging.DEBUG, line, exc_info=error if first else None)

    def end(self, kind: str, about: str = "", **fields: object) -> None:
        """It is right (again); logged where it was wrong, with how often that was seen."""
        times = self._lasting.pop((kind, about), 0)
        if times:
            log.info(Line(CONDITIONS[kind], **fields, times=times))

    def only(self, kind: str, name: str, present: Mapping[str, object]) -> None:
        """Of a kind of condition exactly these are present: log which are new, and which are over.

        Args:
            kind: the event of a new one.
            name: the field that says whom it is about; empty where there can be one only.
            present: whom it is about, and the problem of each.
        """
        for about, problem in present.items():
            self.begin(kind, about, **({name: about} if name else {}), problem=problem)
        over = [about for lasting, about in self._lasting if lasting == kind and about not in present]
        for about in over:
            self.end(kind, about, **({name: about} if name else {}))

    def _first(self, kind: str, about: str) -> bool:
        times = self._lasting[kind, about] = self._lasting.get((kind, about), 0) + 1
        return times == 1
