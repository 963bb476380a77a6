"""The language of `--fail` and the order in which requests meet faults."""

import pytest

from bridge.emulator.faults import Api, FaultError, FaultKind, FaultPlan

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("", ["ok", "ok"]),
        ("drop", ["drop"] * 3),
        ("ok*1; 500*2; 429:retry-after=2*1\nhang*1", ["ok", "500", "500", "429:retry-after=2", "hang", "ok"]),
    ],
)
def test_modes_are_met_one_after_the_other_and_then_all_is_normal(text: str, modes: list[str]) -> None:
    plan = FaultPlan(text)
    assert [plan.next().mode for _ in modes] == modes


def test_each_api_meets_its_own_modes() -> None:
    plan = FaultPlan("data:disabled*1; 500*1; token:429*1; data:ok")
    assert [plan.next(api).mode for api in (Api.ADMIN, Api.DATA, Api.DATA, Api.COLLECT)] == [
        *("ok", "data:disabled", "data:ok", "500")
    ]
    assert str(plan) == "token:429*1; data:ok"


def test_a_plan_shows_what_is_still_to_come_in_its_own_language() -> None:
    plan = FaultPlan("503*3; slow=1.5")
    plan.next()
    assert str(plan) == str(FaultPlan(str(plan))) == "503*2; slow=1.5"


def test_modes_have_their_values() -> None:
    slow, refusal = FaultPlan("slow=0.25").next(), FaultPlan(f"503:retry-after={DATE}").next()
    assert (slow.kind, slow.seconds) == (FaultKind.SLOW, 0.25)
    assert (refusal.kind, refusal.status, refusal.retry_after) == (FaultKind.STATUS, 503, DATE)


@pytest.mark.parametrize(
    "text",
    [
        "explode",
        "500*0",
        "200",
        "600",
        "slow",
        "slow=x",
        "drop:retry-after=1",
        "500*",
        "503:retry-after=1\r2",
        "disabled",
    ],
)
def test_anything_else_is_refused_with_the_modes_there_are(text: str) -> None:
    with pytest.raises(FaultError, match=r"there are: ok, drop, cut, hang, slow=SECONDS"):
        FaultPlan(text)
