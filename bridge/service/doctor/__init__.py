"""`doctor`: every step from the configuration to GA4, tried one after the other, each with what it found.

Nothing is changed and no report is sent. `examine` runs all of it within `TOTAL_SECONDS`, whatever hangs; what the
steps are is in `configuration`, `cluster`, `storage` and `route`, what a step is in `steps`.
"""

from __future__ import annotations

from bridge.service.doctor.examine import STEPS, TOTAL_SECONDS, examine
from bridge.service.doctor.steps import Result, Section, State

__all__ = ["STEPS", "TOTAL_SECONDS", "Result", "Section", "State", "examine"]
