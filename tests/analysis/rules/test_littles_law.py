"""littles_law: does rate x mean latency give what was in flight?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.littles_law import check
from diagnose.load.histogram import Histogram
from diagnose.model.finding import Verdict
from diagnose.model.load import Latency, LoadTick
from diagnose.model.run import Run
from diagnose.model.scenario import Answer, Expectation, Sending
from tests.builders import (
    COOLDOWN,
    DRAIN,
    GET,
    WINDOW,
    WINDOW_S,
    evidence_of,
    make_load,
    make_phases,
    make_run,
    make_scenario,
    make_ticks,
    ramp,
    with_failures,
)

RATE = 1000.0


def latency(mean_s: float, samples: int = 5000) -> Latency:
    """A distribution with this mean."""
    return Latency(samples, mean_s, mean_s, mean_s, mean_s, mean_s, mean_s)


def law_run(
    product: float,
    *,
    in_flight: float = 64.0,
    ticks: tuple[LoadTick, ...] | None = None,
    scenario: dict[str, Any] | None = None,
    **load: Any,
) -> Run:
    """1000 responses a second, whose latency makes `product` of them; in_flight: by the ticks."""
    changes = {"latency": latency(product / RATE), "histogram": {}, **load}
    return make_run(
        load=make_load(**changes),
        ticks=make_ticks(in_flight=in_flight) if ticks is None else ticks,
        scenario=make_scenario(**(scenario or {})),
    )


class TestOurs:
    """Of our own generator the law is held to 5 %, and to what may straddle the window's ends."""

    # The latency of these runs is about 64 ms in a window of 5 s.
    edge = 0.064 / WINDOW_S

    @pytest.mark.parametrize(
        ("ratio", "verdict"),
        [
            pytest.param(1.0, Verdict.CLEAR, id="holds"),
            pytest.param(0.94, Verdict.CLEAR, id="just above the lower limit"),
            pytest.param(0.935, Verdict.FOUND, id="just below the lower limit"),
            pytest.param(1.06, Verdict.CLEAR, id="just below the upper limit"),
            pytest.param(1.07, Verdict.FOUND, id="just above the upper limit"),
            pytest.param(0.5, Verdict.FOUND, id="half"),
            pytest.param(3.0, Verdict.FOUND, id="three times"),
        ],
    )
    def test_the_ratio_decides(self, ratio: float, verdict: Verdict) -> None:
        answer = check(law_run(64 * ratio))
        assert answer.verdict is verdict, answer.claim
        figures = evidence_of(answer)
        assert figures["law_deviation"] == pytest.approx(abs(ratio - 1))
        assert figures["rate_times_latency"] == pytest.approx(64 * ratio)
        assert figures["in_flight"] == 64
        assert answer.evidence[0].threshold == pytest.approx(0.05 + self.edge * ratio)
        assert bool(answer.next_step) == (verdict is Verdict.FOUND)

    @pytest.mark.parametrize("workers", [1, 3])
    def test_workers_add_up(self, workers: int) -> None:
        ticks = make_ticks(workers=workers, in_flight=60)
        assert check(law_run(60, ticks=ticks)).verdict is Verdict.CLEAR
        assert check(law_run(60 / 3, ticks=ticks)).verdict is Verdict.FOUND

    @pytest.mark.parametrize(
        ("mean_s", "verdict"),
        [
            pytest.param(0.1024, Verdict.CLEAR, id="of each request"),
            pytest.param(0.0064, Verdict.FOUND, id="of each connection"),
        ],
    )
    def test_pipelined_requests_are_in_flight_one_by_one(
        self, mean_s: float, verdict: Verdict
    ) -> None:
        run = law_run(0, in_flight=1024, responses=50_000, latency=latency(mean_s))
        assert check(run).verdict is verdict

    def test_failed_responses_count_in_the_rate(self) -> None:
        """A wrong answer has a latency: only right ones would make the rate too small."""
        assert check(law_run(64, ok=0)).verdict is Verdict.CLEAR

    def test_only_the_window_counts(self) -> None:
        ticks = tuple(
            tick if tick.phase == "window" else msgspec.structs.replace(tick, in_flight=1)
            for tick in make_ticks()
        )
        assert check(law_run(64, ticks=ticks)).verdict is Verdict.CLEAR

    def test_the_profiled_load_does_not_count(self) -> None:
        """Its ticks say `window` too."""
        after = tuple(
            msgspec.structs.replace(tick, t=tick.t + COOLDOWN - WINDOW, in_flight=1)
            for tick in make_ticks(start=WINDOW, end=DRAIN)
        )
        run = law_run(64, ticks=(*make_ticks(), *after))
        run = replace(run, manifest=replace(run.manifest, phases=make_phases(profiled=True)))
        assert check(run).verdict is Verdict.CLEAR
        assert evidence_of(check(run))["in_flight"] == 64


class TestStraddling:
    """Requests that straddle the window's ends move the law: not found, and soon unknown."""

    def test_long_latencies_hide_a_deviation(self) -> None:
        """20 requests a second of 1 s each: up to a fifth of the window straddles."""
        run = law_run(16, in_flight=20.0, responses=100, latency=latency(0.8))
        answer = check(run)
        assert answer.verdict is Verdict.UNKNOWN
        assert "longer window" in answer.claim
        assert evidence_of(answer)["straddling_share"] == pytest.approx(0.16)

    def test_a_deviation_that_is_larger_still_is_found(self) -> None:
        run = law_run(8, in_flight=20.0, responses=100, latency=latency(0.4))
        assert check(run).verdict is Verdict.FOUND

    def test_it_is_unknown_even_when_the_law_seems_to_hold(self) -> None:
        run = law_run(20, in_flight=20.0, responses=100, latency=latency(1.0))
        assert check(run).verdict is Verdict.UNKNOWN

    @pytest.mark.parametrize(
        ("latencies", "weighed"),
        [
            pytest.param([0.002] * 50, 0.002, id="all alike"),
            pytest.param([4.0] * 3, 4.0, id="seconds"),
            # 1000 of 1 ms take as long as 1 of 1 s: what is in flight is either, half of the time.
            pytest.param([0.001] * 1000 + [1.0], 0.5005, id="a few long ones"),
        ],
    )
    def test_long_requests_are_hit_more_often(self, latencies: list[float], weighed: float) -> None:
        histogram = Histogram()
        histogram.record(latencies)
        figures = evidence_of(check(law_run(64, histogram=histogram.counts())))
        assert figures["straddling_share"] == pytest.approx(weighed / WINDOW_S, rel=0.001)


class TestConnectionsThatAreOpened:
    """The clock of a first request starts before its connection stands."""

    @pytest.mark.parametrize(
        ("product", "verdict"),
        [
            pytest.param(60, Verdict.CLEAR, id="as counted at ticks"),
            pytest.param(62, Verdict.CLEAR, id="some of those being opened"),
            pytest.param(64, Verdict.CLEAR, id="all of those being opened"),
            pytest.param(72, Verdict.FOUND, id="more than there are"),
            pytest.param(50, Verdict.FOUND, id="fewer than stood"),
        ],
    )
    def test_either_end_is_right(self, product: float, verdict: Verdict) -> None:
        ticks = make_ticks(in_flight=58, established=58)
        assert check(law_run(product, ticks=ticks, opens=4000)).verdict is verdict

    def test_connections_that_are_merely_missing_are_no_excuse(self) -> None:
        ticks = make_ticks(in_flight=32, established=32)
        assert check(law_run(64, ticks=ticks, opens=0)).verdict is Verdict.FOUND
        assert check(law_run(64, ticks=ticks, opens=1)).verdict is Verdict.CLEAR


class TestRequestsWithoutLatency:
    """What fails or hangs is in flight, and nobody measured how long."""

    @pytest.mark.parametrize(
        ("failures", "verdict"),
        [
            pytest.param(0, Verdict.FOUND, id="none"),
            pytest.param(25, Verdict.FOUND, id="too few to explain it"),
            pytest.param(26, Verdict.UNKNOWN, id="enough"),
        ],
    )
    def test_failures_excuse_a_deviation(self, failures: int, verdict: Verdict) -> None:
        load = with_failures({"timeout": failures}, latency=latency(0.04), histogram={})
        assert check(make_run(load=load)).verdict is verdict

    @pytest.mark.parametrize(
        ("stalled", "verdict"),
        [pytest.param(0, Verdict.FOUND, id="none"), pytest.param(1, Verdict.UNKNOWN, id="one")],
    )
    def test_hanging_requests_excuse_a_deviation(self, stalled: int, verdict: Verdict) -> None:
        ticks = tuple(msgspec.structs.replace(tick, stalled=stalled) for tick in make_ticks())
        answer = check(law_run(40, ticks=ticks))
        assert answer.verdict is verdict
        assert ("stalled_share" in evidence_of(answer)) == (verdict is Verdict.UNKNOWN)

    def test_they_do_not_undo_a_law_that_holds(self) -> None:
        ticks = tuple(msgspec.structs.replace(tick, stalled=5) for tick in make_ticks())
        assert check(law_run(64, ticks=ticks)).verdict is Verdict.CLEAR

    @pytest.mark.parametrize(
        "template",
        [
            pytest.param(replace(GET, sending=Sending.HALF), id="half sent"),
            pytest.param(replace(GET, sending=Sending.HEAD), id="head sent"),
            pytest.param(replace(GET, expect=Expectation(answer=Answer.ANY)), id="any answer"),
        ],
    )
    def test_requests_without_an_answer_on_purpose(self, template: Any) -> None:
        answer = check(law_run(40, scenario={"templates": (GET, template)}))
        assert answer.verdict is Verdict.UNKNOWN
        assert "on purpose" in answer.claim


class TestOpenLoop:
    """Requests are due at a rate: the law holds with what is in flight, unless some wait."""

    @pytest.mark.parametrize(
        ("in_flight", "product", "overdue", "verdict"),
        [
            pytest.param(30, 30, 0, Verdict.CLEAR, id="holds"),
            pytest.param(30, 20, 0, Verdict.FOUND, id="does not hold"),
            pytest.param(30, 30, 1, Verdict.CLEAR, id="one is due just then"),
            pytest.param(30, 60, 900, Verdict.UNKNOWN, id="overdue"),
            pytest.param(30, 60, 0, Verdict.UNKNOWN, id="overdue for a while"),
            pytest.param(30, 20, 900, Verdict.FOUND, id="too small, which waiting cannot explain"),
            pytest.param(19, 10, 0, Verdict.UNKNOWN, id="too few to count at ticks"),
        ],
    )
    @pytest.mark.parametrize("told_by", ["scenario", "load"])
    def test_rate(
        self, in_flight: float, product: float, overdue: int, verdict: Verdict, told_by: str
    ) -> None:
        run = law_run(
            product,
            in_flight=in_flight,
            scenario={"rate": RATE} if told_by == "scenario" else None,
            overdue=overdue,
            rate=RATE if told_by == "load" else 0.0,
        )
        assert check(run).verdict is verdict

    def test_a_closed_loop_may_have_one_in_flight(self) -> None:
        assert check(law_run(1, in_flight=1.0)).verdict is Verdict.CLEAR
        assert check(law_run(0.5, in_flight=1.0)).verdict is Verdict.FOUND


class TestDrivers:
    """A driver writes no ticks; its connections are what is in flight, to 10 %."""

    @pytest.mark.parametrize(
        ("product", "verdict"),
        [
            pytest.param(64, Verdict.CLEAR, id="holds"),
            pytest.param(60, Verdict.CLEAR, id="6 % off"),
            pytest.param(56, Verdict.FOUND, id="12 % off"),
            pytest.param(82, Verdict.FOUND, id="28 % off"),
        ],
    )
    def test_ratio(self, product: float, verdict: Verdict) -> None:
        answer = check(law_run(product, ticks=(), generator="wrk"))
        assert answer.verdict is verdict
        if verdict is Verdict.FOUND:
            assert "latency of wrk" in answer.next_step

    def test_pipelining_multiplies_the_connections(self) -> None:
        run = law_run(64.0, ticks=(), generator="wrk", scenario={"pipeline": 16}, responses=80_000)
        assert check(run).verdict is Verdict.CLEAR
        assert evidence_of(check(run))["in_flight"] == 1024

    def test_unknown_when_it_connects_again(self) -> None:
        scenario = {"requests_per_connection": 10}
        run = law_run(40, ticks=(), generator="wrk", scenario=scenario)
        assert check(run).verdict is Verdict.UNKNOWN

    def test_unknown_when_it_tells_no_latency(self) -> None:
        run = law_run(64, ticks=(), generator="oha", latency=Latency())
        answer = check(run)
        assert answer.verdict is Verdict.UNKNOWN
        assert "no latency" in answer.claim


class TestTooLittle:
    """Without a window, a latency or ticks nothing can be said."""

    @pytest.mark.parametrize(
        ("load", "why"),
        [
            pytest.param(None, "no result", id="no result"),
            pytest.param(make_load(duration_s=0.49), "no result", id="too short"),
            pytest.param(make_load(latency=Latency()), "no latency", id="no latency"),
        ],
    )
    def test_load(self, load: object, why: str) -> None:
        answer = check(make_run(load=load))
        assert answer.verdict is Verdict.UNKNOWN
        assert why in answer.claim

    @pytest.mark.parametrize(
        ("end", "verdict"),
        [
            pytest.param(WINDOW, Verdict.UNKNOWN, id="none"),
            pytest.param(WINDOW + 0.45, Verdict.UNKNOWN, id="nine"),
            pytest.param(WINDOW + 0.5, Verdict.CLEAR, id="ten"),
        ],
    )
    def test_ticks(self, end: float, verdict: Verdict) -> None:
        assert check(law_run(64, ticks=make_ticks(end=end))).verdict is verdict

    def test_a_mean_that_is_not_known(self) -> None:
        """In flight only every other second: its mean over a few seconds is chance."""
        on = ramp(*((WINDOW + s, 128.0 * (s % 2)) for s in range(6)))
        ticks = tuple(
            msgspec.structs.replace(tick, in_flight=int(on(tick.t))) for tick in make_ticks()
        )
        answer = check(law_run(40, ticks=ticks))
        assert answer.verdict is Verdict.UNKNOWN
        assert "swung" in answer.claim

    def test_nothing_in_flight(self) -> None:
        answer = check(law_run(64, in_flight=0.0))
        assert answer.verdict is Verdict.UNKNOWN
        assert "nothing was in flight" in answer.claim
