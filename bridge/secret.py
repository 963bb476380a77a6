"""A text that must not be printed: cookies and API secrets travel through the program inside one of these."""

from __future__ import annotations

from typing import Final, final

MASK: Final = "********"


@final
class Secret:
    """Holds a secret so that no repr, format, log line or traceback shows it; `reveal` is the only way out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself; call it where it goes on the wire and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")
