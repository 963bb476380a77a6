"""A GA4 property as its operator sees it: an account, a web stream with a secret, custom definitions, retention."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.secret import Secret


@dataclass(frozen=True, slots=True)
class Definition:
    """A custom dimension or metric of events."""

    created: float
    """Seconds since 1970; what arrived before shows as "(not set)"."""
    resource: Mapping[str, object]
    """As the Admin API shows it."""


@dataclass
class GaProperty:
    """A standard property with one web stream."""

    id: str = "123456789"
    measurement_id: str = "G-EMULATOR"
    secret: Secret | None = None
    """The only good API secret of the stream; None: every one is good."""
    account: str = "1000"
    stream: str = "2000"
    display_name: str = "Emulated property"
    user_data_retention: str = "TWO_MONTHS"
    definitions: dict[str, dict[str, Definition]] = field(
        default_factory=lambda: {"customDimensions": {}, "customMetrics": {}}
    )
    """By kind, as paths of the Admin API have it, and then by parameter name."""

    def drops(self, measurement_id: str | None, secret: str | None) -> bool:
        """Whether an event sent to the Measurement Protocol is dropped for its secret, which GA4 does not tell."""
        return self.secret is not None and measurement_id == self.measurement_id and secret != self.secret.reveal()
