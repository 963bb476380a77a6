"""A state directory whose clock is moved by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.state.state import State
from tests.delivery.support import Hands


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(state: Path, hands: Hands) -> Iterator[State]:
    with State.open(state, clock=hands.clock) as opened:
        yield opened
