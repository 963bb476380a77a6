"""The language of `--fail` and the order in which requests meet faults."""

import pytest

from bridge.emulator.faults import FaultError, FaultKind, FaultPlan


def met(text: str, requests: int) -> list[str]:
    plan = FaultPlan(text)
    return [plan.next().mode for _ in range(requests)]


def test_without_modes_everything_works() -> None:
    assert met("", 2) == ["ok", "ok"]


def test_a_mode_without_a_count_lasts() -> None:
    assert met("drop", 3) == ["drop"] * 3


def test_modes_are_met_one_after_the_other_and_then_all_is_normal() -> None:
    assert met("ok*1; 500*2; 429:retry-after=2*1\nhang*1", 6) == ["ok", "500", "500", "429:retry-after=2", "hang", "ok"]


def test_a_plan_tells_what_is_still_to_come_in_its_own_language() -> None:
    plan = FaultPlan("503*3; slow=1.5")
    plan.next()
    assert str(plan) == "503*2; slow=1.5"
    assert str(FaultPlan(str(plan))) == str(plan)


def test_retry_after_may_be_a_date() -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert FaultPlan(f"503:retry-after={date}").next().retry_after == date


def test_slow_has_its_seconds() -> None:
    fault = FaultPlan("slow=0.25").next()
    assert (fault.kind, fault.seconds) == (FaultKind.SLOW, 0.25)


@pytest.mark.parametrize(
    "text", ["explode", "500*0", "200", "600", "slow", "slow=x", "drop:retry-after=1", "500*", "503:retry-after=1\r2"]
)
def test_what_is_no_mode_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(FaultError, match=r"there are: ok, drop, cut, hang, slow=SECONDS"):
        FaultPlan(text)
