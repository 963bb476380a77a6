"""Processes that die and processes that run at once: nothing is lost, nothing is sent twice without need."""

from pathlib import Path

from tests.delivery.crash import EVENTS, Place, crash, finish, start
from tests.support.emulator import running_emulator


def test_nothing_is_lost_however_often_it_is_killed(tmp_path: Path) -> None:
    """The short form of `python -m tests.delivery.crash --kills 200`."""
    result = crash(Place(tmp_path), kills=10, seed=5)
    assert result.reports > 3
    assert result.lost == set()
    assert result.queued == 0
    assert result.sound
    assert result.increments == result.total
    # Of each process, at most what was in flight at the two destinations when it died; and the answer that was cut.
    assert result.twice <= (10 * 2 * 4 + 4) * EVENTS


def test_several_processes_at_once_send_every_batch_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with running_emulator(tmp_path / "record") as emulator:
        processes = [start(place, emulator.url, 4) for _ in range(3)]
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0, 0]
        result = finish(place, emulator, set())
    assert result.reports == 3 * 4 + 1
    assert (result.lost, result.twice, result.queued) == (set(), 0, 0)
    assert result.sound
    assert result.increments == result.total
