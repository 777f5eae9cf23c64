"""What workers counted, cut to the measured window, and windows of several as one result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from diagnose.load.accounting import Spent
from diagnose.load.connection import TemplateState
from diagnose.load.histogram import Histogram, bucket_values
from diagnose.load.merge import CLOSE_NUMBERS, merge
from diagnose.load.requests import prepare
from diagnose.load.shares import Shares
from diagnose.load.tally import CLOSE_NUMBERS as MOST_NUMBERS
from diagnose.load.tally import Tally, Window, fresh_histograms, mark, window
from diagnose.load.worker import Message, Trial, WorkerReport
from diagnose.model.load import Failure, FailureExample, LoadPlan, LoadTick, Spread
from diagnose.model.scenario import Answer, Expectation, RequestTemplate, Scenario

GET = RequestTemplate("get", "GET", "/", expect=Expectation(body="ok"))
POST = RequestTemplate("post", "POST", "/", body_length=1000)
SCENARIO = Scenario("s", "", "", (GET, POST), (8,))
PLAN = LoadPlan("127.0.0.1", 80, SCENARIO, 8, 0, 1, 1.0, 5.0, 2.0)


def states() -> list[TemplateState]:
    return [TemplateState(template, prepare(template, "h:1")) for template in (GET, POST)]


def spent(wall: float, cpu: float = 0.0, queued: float = 0.0) -> Spent:
    return Spent(wall, cpu, queued)


def buckets(values: Sequence[float]) -> dict[int, int]:
    """A histogram of these as it goes from the worker to the recorder."""
    histogram = Histogram()
    histogram.record(values)
    return histogram.counts()


def seconds(counts: dict[int, int]) -> list[float]:
    """The values in a histogram, to three digits."""
    middles = bucket_values(np.array(sorted(counts), dtype=np.int64))
    return [round(float(middle), 3) for middle in middles]


def settle(tally: Tally, both: Sequence[TemplateState]) -> None:
    """What a tick does with what was timed since the one before."""
    tally.settle()
    for state in both:
        state.settle()


# -- tally --------------------------------------------------------------------------------------


def test_failures_are_counted_by_kind_and_template() -> None:
    tally, (get, post) = Tally(), states()
    tally.fail(get, Failure.TIMEOUT, "10 s", 3)
    tally.fail(post, Failure.TIMEOUT, "11 s", 1)
    tally.fail(post, Failure.WRONG_BODY, "x", 1)
    assert tally.failures == Counter({"timeout": 4, "wrong_body": 1})
    assert (get.failures, post.failures) == (3, 2)


def test_the_first_failure_of_a_kind_is_the_example() -> None:
    tally, (get, post) = Tally(), states()
    tally.fail(post, Failure.REFUSED, "first", 1)
    tally.fail(get, Failure.REFUSED, "second", 1)
    assert tally.examples == {"refused": FailureExample("refused", "post", "first")}


def test_recognized_answers_are_right_2xx_and_folded_once() -> None:
    tally, (get, post) = Tally(), states()
    get.recognized, post.recognized = 5, 2
    for state in (get, post, get, post):
        tally.fold(state)
    assert (tally.responses, tally.ok, tally.status_classes["2xx"]) == (7, 7, 7)
    assert (get.responses, post.responses) == (5, 2)
    assert tally.bodies_checked == 5
    assert tally.body_answered == 2000
    assert get.recognized == post.recognized == 0


def test_numbers_are_all_plain_counters() -> None:
    tally = Tally(responses=3, loops=9)
    numbers = tally.numbers()
    assert (numbers["responses"], numbers["loops"], numbers["ok"]) == (3, 9, 0)
    assert not {"failures", "status_classes", "examples", "connect_times", "lags"} & set(numbers)


def test_a_mark_does_not_follow_the_tally() -> None:
    tally, both = Tally(), states()
    before = mark(tally, both, spent(1.0))
    tally.responses += 1
    tally.fail(both[0], Failure.TIMEOUT, "", 1)
    tally.status_classes["2xx"] += 1
    both[1].responses += 1
    assert before.numbers["responses"] == 0
    assert before.failures == before.status_classes == Counter()
    assert before.templates == ((0, 0), (0, 0))


def test_a_window_is_the_difference_of_two_marks() -> None:
    tally, both = Tally(responses=10, ok=9, loops=100, opens=2), states()
    both[0].responses, both[0].failures = 10, 1
    both[0].histogram.record([9.0] * 10)
    tally.failures["timeout"] = 1
    tally.failures["refused"] = 4
    tally.status_classes["2xx"] = 9
    tally.connect_times = [0.3, 0.1]
    tally.lags = [0.9]
    both[0].first_bytes, both[1].body_sents = [0.7], [0.8]
    settle(tally, both)
    fresh_histograms(tally, both)
    begin = mark(tally, both, spent(100.0, 5.0, 1.0))
    tally.responses, tally.ok, tally.loops = 16, 15, 150
    tally.status_classes.update({"2xx": 5, "5xx": 1})
    tally.fail(both[1], Failure.TIMEOUT, "late", 2)
    both[0].responses, both[1].responses = 14, 2
    both[0].histogram.record([0.001] * 4)
    tally.lags = [0.02, 0.01]
    both[0].first_bytes, both[1].body_sents = [0.002], [0.5, 0.6]
    settle(tally, both)
    seen = window(tally, both, begin, mark(tally, both, spent(105.5, 8.0, 1.5)), 8)
    assert (seen.numbers["responses"], seen.numbers["ok"], seen.numbers["loops"]) == (6, 6, 50)
    assert seen.numbers["opens"] == 0
    assert seen.failures == {"timeout": 2}
    assert seen.status_classes == {"2xx": 5, "5xx": 1}
    rows = [(row.name, row.responses, row.failures) for row in seen.templates]
    assert rows == [("get", 4, 0), ("post", 2, 2)]
    assert [sum(row.latencies.values()) for row in seen.templates] == [4, 0]
    assert [seconds(row.first_bytes) for row in seen.templates] == [[0.002], []]
    assert [seconds(row.body_sents) for row in seen.templates] == [[], [0.5, 0.6]]
    assert seen.examples == [FailureExample("timeout", "post", "late")]
    # Most connections are opened before the window: their times stay.
    assert (seconds(seen.connect_times), seconds(seen.lags)) == ([0.1, 0.3], [0.01, 0.02])
    assert (seen.wall_s, seen.cpu_s, seen.run_queue_s) == (5.5, 3.0, 0.5)
    assert (seen.established, seen.started) == (8, 100.0)


# -- merge --------------------------------------------------------------------------------------


def report(
    worker: int = 0,
    latencies: tuple[list[float], list[float]] = ([], []),
    **changes: Any,
) -> WorkerReport:
    """A worker's window in which every latency is one right answer."""
    tally, both = Tally(), states()
    begin = mark(tally, both, spent(50.0 + worker))
    for state, values in zip(both, latencies, strict=True):
        state.recognized = len(values)
        state.histogram.record(values)
        tally.fold(state)
    end = mark(tally, both, spent(55.0 + worker, 1.0, 0.25))
    base = WorkerReport(
        worker=worker,
        window=window(tally, both, begin, end, 4),
        late=0,
        unanswered=0,
        unanswered_stalled_s=0.0,
        drain_s=0.0,
        drain_progress=False,
        drain_failures={},
        interrupted=False,
    )
    own = {name for name in WorkerReport.__slots__ if name in changes}
    part = replace(base.window, **{key: changes[key] for key in changes.keys() - own})
    return replace(base, window=part, **{key: changes[key] for key in own})


def random_latencies(seed: int, count: int) -> list[float]:
    values: list[float] = np.random.default_rng(seed).lognormal(-5, 1, count).tolist()
    return values


def test_counters_of_two_workers_add_up() -> None:
    names = Tally().numbers()
    first = report(0, numbers={name: index + 1 for index, name in enumerate(names)})
    second = report(1, numbers={name: 100 * (index + 1) for index, name in enumerate(names)})
    result = merge(PLAN, [first, second])
    for index, name in enumerate(names):
        if name not in ("loops", "events"):
            assert getattr(result, name) == 101 * (index + 1), name
    assert [cost.loops for cost in result.workers] == [
        first.window.numbers["loops"],
        second.window.numbers["loops"],
    ]


def test_failures_and_statuses_add_up_by_kind() -> None:
    first = report(0, failures={"timeout": 2, "refused": 1}, status_classes={"2xx": 5})
    second = report(1, failures={"timeout": 3}, status_classes={"2xx": 7, "4xx": 1})
    result = merge(PLAN, [first, second])
    assert result.failures == {"timeout": 5, "refused": 1}
    assert result.failed == 6
    assert result.status_classes == {"2xx": 12, "4xx": 1}


def test_percentiles_are_those_of_all_samples() -> None:
    slow, fast = [value + 0.5 for value in random_latencies(1, 500)], random_latencies(2, 4500)
    result = merge(PLAN, [report(0, (slow, [])), report(1, (fast[:4000], fast[4000:]))])
    everything = np.array(slow + fast)
    assert result.latency.samples == 5000
    for seen, percent in ((result.latency.p50_s, 50), (result.latency.p99_s, 99)):
        assert seen == pytest.approx(float(np.percentile(everything, percent)), rel=5e-3)
    assert result.latency.max_s == pytest.approx(max(slow), rel=1e-3)
    assert sum(result.histogram.values()) == 5000


def test_templates_are_merged_by_name() -> None:
    first = report(0, ([0.001] * 3, [0.010] * 2))
    second = report(1, ([0.002] * 3, []))
    result = merge(PLAN, [first, second])
    assert [(row.name, row.responses) for row in result.templates] == [("get", 6), ("post", 2)]
    get, post = result.templates
    assert get.latency.samples == 6
    assert get.latency.p50_s == pytest.approx(0.001, rel=1e-3)
    assert get.latency.max_s == pytest.approx(0.002, rel=1e-3)
    assert post.latency.mean_s == pytest.approx(0.010, rel=1e-3)


def test_bodies_of_workers_are_told_apart_together() -> None:
    first, second = report(0), report(1)
    seen = ((first, 2, 200, [1, 2]), (second, 1, 50, [2, 3]))
    for each, parsed, length, digests in seen:
        template = each.window.templates[0]
        template.parsed, template.body_bytes, template.body_digests = parsed, length, digests
    get, post = merge(PLAN, [first, second]).templates
    assert (get.distinct_bodies, get.mean_body_bytes) == (3, pytest.approx(250 / 3))
    assert (post.distinct_bodies, post.mean_body_bytes) == (-1, -1.0)


def test_shares_and_closes_of_workers_are_put_together() -> None:
    served = [True] * 4
    opened = [1.0, 1.1, 1.2, 1.3]
    first = report(1, shares=Shares([20, 0, 22, 0], served, opened), closes_after={10: 5, 3: 1})
    second = report(0, shares=Shares([19, 21, 0, 0], served, opened), closes_after={10: 7})
    result = merge(PLAN, [first, second])
    # In the order of opening: 19, 20, 21, 0, 0, 22, 0, 0.
    assert result.connection_responses == Spread(4, 19, 19, 21, 22, 22)
    assert result.silent_connections == 4
    assert result.silent_late_share == pytest.approx(14 / 16)
    assert result.closes_after == {10: 12, 3: 1}


def test_only_the_most_frequent_closes_are_kept() -> None:
    closes = {number: 1 + (number == 7) for number in range(1, 100)}
    kept = merge(PLAN, [report(0, closes_after=closes)]).closes_after
    assert len(kept) == CLOSE_NUMBERS
    assert kept[7] == 2


def test_a_worker_without_connections_tells_nothing_of_them() -> None:
    result = merge(PLAN, [report(0)])
    assert (result.connection_responses, result.silent_connections) == (None, -1)


def test_closes_are_cut_to_the_window() -> None:
    tally = Tally()
    tally.closed_after(5)
    begin = mark(tally, states(), spent(0.0))
    tally.closed_after(5)
    tally.closed_after(6)
    seen = window(tally, states(), begin, mark(tally, states(), spent(1.0)), 1)
    assert seen.closes_after == {5: 1, 6: 1}
    assert seen.numbers["server_closes"] == 2


def test_closes_after_ever_new_numbers_take_no_more_room() -> None:
    tally = Tally()
    for number in range(2 * MOST_NUMBERS):
        tally.closed_after(number)
    tally.closed_after(0)
    assert len(tally.closes_after) == MOST_NUMBERS
    assert (tally.server_closes, tally.closes_after[0]) == (2 * MOST_NUMBERS + 1, 2)


def test_merging_changes_no_report() -> None:
    reports = [report(0, ([0.001], [])), report(1, ([0.002], [0.003]))]
    before = msgspec.json.encode(reports)
    assert merge(PLAN, reports) == merge(PLAN, reports)
    assert msgspec.json.encode(reports) == before


def test_one_example_of_each_kind() -> None:
    timeout = FailureExample("timeout", "get", "a")
    refused = FailureExample("refused", "post", "b")
    result = merge(PLAN, [report(0, examples=[timeout]), report(1, examples=[timeout, refused])])
    assert sorted(example.kind for example in result.examples) == ["refused", "timeout"]


def test_the_example_is_the_first_workers() -> None:
    first = FailureExample("timeout", "get", "first worker")
    second = FailureExample("timeout", "get", "second worker")
    result = merge(PLAN, [report(0, examples=[first]), report(1, examples=[second])])
    assert result.examples == (first,)


def test_what_was_still_in_flight() -> None:
    first = report(0, late=2, unanswered=3, unanswered_stalled_s=0.5, drain_s=1.5)
    second = report(
        1, late=1, unanswered=4, unanswered_stalled_s=2.5, drain_s=0.5, drain_progress=True
    )
    result = merge(PLAN, [first, second])
    assert (result.late_responses, result.unanswered) == (3, 7)
    assert (result.unanswered_stalled_s, result.drain_s) == (2.5, 1.5)
    assert result.drain_progress
    assert not result.interrupted
    assert merge(PLAN, [first, replace(second, interrupted=True)]).interrupted


def test_failures_while_draining_are_apart() -> None:
    first = report(0, drain_failures={"timeout": 2}, failures={"refused": 1})
    second = report(1, drain_failures={"timeout": 1, "closed_before_response": 4})
    result = merge(PLAN, [first, second])
    assert result.drain_failures == {"timeout": 3, "closed_before_response": 4}
    assert result.failures == {"refused": 1}


def test_times_and_connections() -> None:
    first = report(0, wall_s=5.0, started=51.0, connect_times=buckets([0.3, 0.1]), established=3)
    second = report(
        1, wall_s=5.2, started=50.5, connect_times=buckets([0.9, 0.2, 0.4]), established=4
    )
    result = merge(PLAN, [first, second])
    assert (result.connections, result.established) == (8, 7)
    assert result.duration_s == pytest.approx(5.1)
    assert result.started == 50.5
    assert result.connect_p50_s == pytest.approx(0.3, rel=1e-3)
    assert result.connect_max_s == pytest.approx(0.9, rel=1e-3)


def test_costs_of_each_worker() -> None:
    lags = buckets([index / 1000 for index in range(1, 101)])
    first = report(0, ([0.004], []), wall_s=5.0, cpu_s=3.0, run_queue_s=0.5, lags=lags)
    second = report(1, wall_s=5.0, cpu_s=5.0, run_queue_s=0.2)
    busy, starved = merge(PLAN, [first, second]).workers
    assert (busy.worker, starved.worker) == (0, 1)
    assert busy.blocked_s == pytest.approx(1.5)
    assert busy.lag_samples == 100
    assert busy.lag_p50_s == pytest.approx(0.05, rel=1e-3)
    assert busy.lag_p99_s == pytest.approx(0.099, rel=1e-3)
    assert busy.latency_p50_s == pytest.approx(0.004, rel=1e-3)
    assert starved.blocked_s == 0.0
    assert (starved.lag_samples, starved.lag_p50_s, starved.lag_p99_s) == (0, None, None)
    assert starved.latency_p50_s is None


def test_what_a_worker_proved_and_how_its_uploads_went() -> None:
    proved = report(0, proof=(0.00001, 0.25), proof_s=1.1, send_times=(4.0, 3.0, 0.5))
    result = merge(PLAN, [proved, report(1)])
    first, second = result.workers
    assert (first.spin_s, first.spin_slowdown) == (0.00001, 0.25)
    assert (second.spin_s, second.spin_slowdown) == (0.0, None)
    assert (first.tcp_busy_s, first.tcp_rwnd_limited_s, first.tcp_sndbuf_limited_s) == (4, 3, 0.5)
    assert (second.tcp_busy_s, second.tcp_rwnd_limited_s) == (0.0, 0.0)
    assert result.proof_s == 1.1


def test_an_open_loop_tells_its_rate_and_what_was_overdue() -> None:
    plan = replace(PLAN, scenario=replace(SCENARIO, rate=500.0))
    result = merge(plan, [report(0, overdue=3), report(1, overdue=4)])
    assert (result.rate, result.overdue) == (500.0, 7)
    assert merge(PLAN, [report(0)]).rate == 0.0


def test_first_bytes_and_sent_bodies_are_merged() -> None:
    windows = [report(0), report(1)]
    for number, part in enumerate(windows):
        part.window.templates[0].first_bytes = buckets([0.1 + number])
        part.window.templates[1].body_sents = buckets([0.2 + number])
    result = merge(PLAN, windows)
    assert (result.first_byte.samples, result.body_sent_latency.samples) == (2, 2)
    assert result.first_byte.max_s == pytest.approx(1.1, rel=1e-3)
    assert result.body_sent_latency.max_s == pytest.approx(1.2, rel=1e-3)
    nothing = merge(PLAN, [report(0)])
    assert nothing.first_byte.samples == nothing.body_sent_latency.samples == 0


def test_answers_that_anything_would_do_for_have_no_part_in_the_latency() -> None:
    """A refusal at once would make the load look fast, a slow one make it look slow."""
    both = report(0, ([0.001] * 4, [9.0] * 4))
    both.window.templates[1].required = False
    result = merge(PLAN, [both])
    assert result.latency.samples == 4
    assert result.latency.max_s == pytest.approx(0.001, rel=1e-3)
    assert sum(result.histogram.values()) == 4
    assert result.templates[1].latency.max_s == pytest.approx(9.0, rel=1e-3)
    assert result.workers[0].latency_p50_s == pytest.approx(0.001, rel=1e-3)


def test_templates_that_anything_would_do_for_are_marked() -> None:
    anything = RequestTemplate("any", "GET", "/", expect=Expectation(answer=Answer.ANY))
    kinds = [TemplateState(each, prepare(each, "h:1")) for each in (GET, anything)]
    moment = mark(Tally(), kinds, spent(1.0))
    seen = window(Tally(), kinds, moment, moment, 1)
    assert [row.required for row in seen.templates] == [True, False]


def test_nothing_measured() -> None:
    result = merge(PLAN, [report(0)])
    assert (result.responses, result.latency.samples, result.rps) == (0, 0, 0.0)
    assert (result.connect_p50_s, result.connect_max_s) == (0.0, 0.0)
    assert merge(PLAN, [report(0, wall_s=0.0)]).rps == 0.0


def test_rps_is_right_answers_by_duration() -> None:
    numbers = {**Tally().numbers(), "responses": 600, "ok": 500}
    assert merge(PLAN, [report(0, numbers=numbers)]).rps == pytest.approx(100.0)


def test_reports_and_ticks_survive_the_line_to_the_recorder() -> None:
    sent = Message(report=report(1, ([0.001, 0.5], [0.002]), failures={"timeout": 1}))
    tick = Message(tick=LoadTick(1.5, 1, "window", 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 3, 0.1, 0.2, 0.3))
    trial = Message(trial=Trial(0.5, 0.25, None))
    says = (Message(ready=0), Message(held=0), trial, Message(error="it\nbroke"))
    for message in (sent, tick, *says):
        line = msgspec.json.encode(message)
        assert b"\n" not in line
        assert msgspec.json.decode(line, type=Message) == message
    assert isinstance(sent.report, WorkerReport)
    assert isinstance(sent.report.window, Window)
