"""inferd.server.totals: what the whole server has done, from what each worker says."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from inferd.server.link import Answer, Report, VersionStatistics
from inferd.server.totals import PATIENCE, Asker, Rounds, Said, Totals, told
from inferd.statistics import NOTHING, SizeStatistics, Statistics, Total

KEY = ("m", "1")
LOST = -1
Steps = list[tuple[int, int]]

STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(LOST, 5)), max_size=60)
"""A seat, and how many requests more its worker reports; LOST: it is replaced."""


def statistics(requests: int, rows: int = 1) -> Statistics:
    """Of a version that answered so many, each of so many rows in a nanosecond."""
    took = Total(requests, requests)
    return Statistics(
        success=took,
        compute_infer=took,
        rows=requests * rows,
        executions=requests,
        last_inference_ms=requests,
        sizes=(SizeStatistics(rows, Total(), took, Total()),),
    )


def test_statistics_add_up() -> None:
    """Every count and duration is summed, calls with one number of rows together; the last call is
    the later one."""
    sum_ = statistics(2) + statistics(3, rows=4) + statistics(5)
    assert (sum_.requests, sum_.rows, sum_.executions) == (10, 19, 10)
    assert sum_.last_inference_ms == 5
    assert [(size.rows, size.compute_infer.count) for size in sum_.sizes] == [(1, 7), (4, 3)]
    assert NOTHING + sum_ == sum_ == sum_ + NOTHING


def _played(steps: Steps) -> Iterator[tuple[int, int]]:
    """After each step what the totals say, and what is true."""
    totals, workers, counts = Totals(), [0, 1, 2], {0: 0, 1: 0, 2: 0}
    for worker in workers:
        totals.joined(worker)
    before, fresh = 0, 3
    for seat, more in steps:
        worker = workers[seat]
        if more == LOST:
            totals.lost(worker)
            before += counts.pop(worker)
            late = VersionStatistics(*KEY, statistics(1000))
            totals.reported(worker, [late])  # comes after its death was noticed
            workers[seat], counts[fresh] = fresh, 0
            totals.joined(fresh)
            fresh += 1
        else:
            counts[worker] += more
            totals.reported(worker, [VersionStatistics(*KEY, statistics(counts[worker]))])
        yield (
            totals.read().get(KEY, NOTHING).requests,
            before + sum(counts.values()),
        )


@given(STEPS)
def test_totals_count_everything_and_never_go_back(steps: Steps) -> None:
    """In any order of reports, deaths and replacements, all that was ever reported is counted
    once."""
    last = 0
    for said, true in _played(steps):
        assert said == true
        assert said >= last
        last = said


@given(st.permutations([1, 2, 3, 4, 5]))
def test_an_older_report_changes_nothing(order: list[int]) -> None:
    """Whatever order reports come in, the furthest one counts."""
    totals, furthest = Totals(), 0
    totals.joined(0)
    for requests in order:
        totals.reported(0, [VersionStatistics(*KEY, statistics(requests))])
        furthest = max(furthest, requests)
        assert totals.read()[KEY].requests == furthest


def test_versions_that_are_not_reported_stay() -> None:
    """A worker says only what is new."""
    totals = Totals()
    totals.joined(0)
    totals.reported(0, [VersionStatistics("a", "1", statistics(3))])
    totals.reported(0, [VersionStatistics("b", "1", statistics(4))])
    counted = {key: done.requests for key, done in totals.read().items()}
    assert counted == {("a", "1"): 3, ("b", "1"): 4}


def _rounds(workers: int) -> Rounds:
    rounds = Rounds(Totals())
    for worker in range(workers):
        rounds.joined(worker)
    return rounds


def test_an_answer_waits_for_every_worker() -> None:
    """All are asked, and when the last has reported, whoever asked is answered."""
    rounds = _rounds(3)
    assert list(rounds.ask(Asker(1, 7), 0.0)) == [Said(worker, Report(1)) for worker in range(3)]
    assert list(rounds.reported(0, 1, 0.1)) == []
    assert list(rounds.reported(1, 1, 0.1)) == []
    assert list(rounds.reported(2, 1, 0.1)) == [Said(1, Answer(7, told({})))]
    assert rounds.deadline is None


def test_a_silent_worker_is_not_waited_for_longer_than_the_patience() -> None:
    """What it said last counts; its late report belongs to no round."""
    rounds = _rounds(2)
    list(rounds.ask(Asker(0, 1), 5.0))
    list(rounds.reported(0, 1, 5.0))
    assert list(rounds.tick(5.0 + PATIENCE / 2)) == []
    assert [said.worker for said in rounds.tick(5.0 + PATIENCE)] == [0]
    list(rounds.ask(Asker(0, 2), 6.0))
    list(rounds.reported(0, 2, 6.0))
    assert list(rounds.reported(1, 1, 6.0)) == []
    assert rounds.deadline is not None


def test_a_worker_that_dies_is_not_waited_for() -> None:
    """Nor is one answered that asked and is gone."""
    rounds = _rounds(3)
    list(rounds.ask(Asker(0, 1), 0.0))
    list(rounds.reported(0, 1, 0.0))
    assert list(rounds.lost(1, 0.0)) == []
    assert [said.worker for said in rounds.lost(2, 0.0)] == [0]
    list(rounds.ask(Asker(0, 2), 1.0))
    assert list(rounds.lost(0, 1.0)) == []


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_many_questions_are_answered_by_two_rounds(askers: list[int]) -> None:
    """Whoever asks while a round is under way is answered by the next, which asks anew."""
    rounds = _rounds(3)
    said = [one for at, asker in enumerate(askers) for one in rounds.ask(Asker(asker, at), 0.0)]
    for number in (1, 2):
        for worker in range(3):
            said += rounds.reported(worker, number, 0.0)
    reports = [each for each in said if isinstance(each.message, Report)]
    assert len(reports) == 3 * min(2, len(askers))
    answered = {(s.worker, s.message.number) for s in said if isinstance(s.message, Answer)}
    assert answered == {(asker, at) for at, asker in enumerate(askers)}
