"""What experiments say of the runs of their legs: confirmed, refuted, or neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diagnose.experiments import (
    again,
    body_size,
    coding,
    connections,
    cores,
    forms,
    keep_alive,
    knob,
    load_workers,
    pipelined,
    quick_ack,
    served,
    unloaded,
    withheld,
)
from diagnose.experiments._figures import pair_ratios
from diagnose.model.experiment import Outcome
from diagnose.model.report import Analyzed
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Sending
from tests.builders import make_load, make_run, make_scenario, upload_run
from tests.experiments.legs import SHARED, judged, leg, seen

CONFIRMED, REFUTED, UNDECIDED = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED


def rps(*values: float, **more: float) -> list[Analyzed]:
    return [leg(value, cores=more.get("cores", 1.0)) for value in values]


class TestCores:
    @pytest.mark.parametrize(
        ("both", "outcome"),
        [
            ((1010, 980, 1005), CONFIRMED),
            # Slower with a second core: contention.
            ((700, 690, 720), CONFIRMED),
            ((1300, 1380, 1350), REFUTED),
            # One pair says one thing, one another.
            ((1010, 1400, 1005), UNDECIDED),
            ((1200, 1190, 1210), UNDECIDED),
        ],
    )
    def test_by_the_speed_up(self, both: tuple[float, ...], outcome: Outcome) -> None:
        runs = seen(one_core=rps(1000, 1000, 1000), all_cores=rps(*both))
        said = judged(cores, runs, "single_threaded")
        # 1.0 and 0.4 cores of 2: at the best 2 / 1.4 * 1.0.
        assert said.outcome is outcome, said
        assert "of 1.4x possible" in said.seen

    def test_a_slower_server_on_more_cores_says_by_how_much(self) -> None:
        runs = seen(one_core=rps(1000, 1000), all_cores=rps(700, 700))
        said = judged(cores, runs, "gil_bound").effect
        assert "30% slower on all cores, which it shares with the load" in said

    def test_where_the_load_takes_the_second_core_nothing_is_decided(self) -> None:
        both = [leg(1000, cores=1.0, load_cores=0.95) for _ in range(3)]
        said = judged(cores, seen(one_core=rps(1000, 1000, 1000), all_cores=both), "gil_bound")
        assert said.outcome is UNDECIDED
        assert "the load takes" in said.seen

    def test_runs_that_the_client_limited_do_not_count(self) -> None:
        limited = [leg(1000, client_limited=True) for _ in range(3)]
        runs = seen(one_core=rps(1000, 1000, 1000), all_cores=limited)
        assert judged(cores, runs, "gil_bound").outcome is UNDECIDED

    def test_one_pair_is_too_few(self) -> None:
        runs = seen(one_core=rps(1000), all_cores=rps(1000))
        assert judged(cores, runs, "gil_bound").outcome is UNDECIDED


class TestPairs:
    def test_a_run_that_does_not_tell_takes_its_partner_with_it(self) -> None:
        # The second run of the base would otherwise stand beside the first one of the other leg.
        base = [leg(1000, client_limited=True), leg(100), leg(200)]
        runs = {"a": base, "b": rps(1000, 150, 300)}
        assert pair_ratios(runs, "a", "b") == [1.5, 1.5]

    def test_a_leg_without_runs_makes_no_pair(self) -> None:
        assert pair_ratios({"a": rps(1000)}, "a", "b") == []

    @pytest.mark.parametrize(
        ("module", "legs", "suspect"),
        [
            (coding, (coding.CODED, coding.PLAIN), "compression_too_high"),
            (keep_alive, (keep_alive.ONE, keep_alive.MANY), "accept_bottleneck"),
            (knob, ("WORKERS=1", "WORKERS=2"), "too_few_workers"),
            (load_workers, (load_workers.SAME, load_workers.MORE), "client_saturated"),
            (pipelined, (pipelined.ONE, pipelined.SEVERAL), "pipelining_serialized"),
        ],
    )
    def test_one_pair_decides_nothing(
        self, module: Any, legs: tuple[str, str], suspect: str
    ) -> None:
        # Five times as fast would confirm or refute each of them.
        runs = {legs[0]: rps(100), legs[1]: rps(500)}
        assert judged(module, runs, suspect).outcome is UNDECIDED


class TestConnections:
    def runs(self, last: Analyzed, before: float = 55.0) -> dict[str, list[Analyzed]]:
        return {
            "1 connection": [leg(50.0, cores=0.1, p50_s=0.02)],
            "4 connections": [leg(52.0, cores=0.1, p50_s=0.08)],
            "16 connections": [leg(before, cores=0.1, p50_s=0.3)],
            "64 connections": [last],
        }

    def test_a_loop_that_serves_one_after_the_other(self) -> None:
        last = leg(55.0, cores=0.1, p50_s=1.2)
        said = judged(connections, self.runs(last), "blocking_event_loop")
        assert said.outcome is CONFIRMED
        assert said.effect

    def test_a_loop_that_serves_all_at_once(self) -> None:
        last = leg(3000.0, cores=0.4, p50_s=0.021)
        assert judged(connections, self.runs(last), "blocking_event_loop").outcome is REFUTED

    def test_a_server_at_the_limit_of_its_cores_is_not_blocked(self) -> None:
        last = leg(55.0, cores=1.9, p50_s=1.2)
        assert judged(connections, self.runs(last), "blocking_event_loop").outcome is UNDECIDED

    @pytest.mark.parametrize(
        ("after", "used", "outcome"),
        [(56.0, 0.1, CONFIRMED), (210.0, 0.1, REFUTED), (56.0, 1.9, UNDECIDED)],
    )
    def test_a_pool_that_is_exhausted(self, after: float, used: float, outcome: Outcome) -> None:
        last = leg(after, cores=used, p50_s=1.2)
        assert judged(connections, self.runs(last), "pool_exhausted").outcome is outcome

    def test_the_law_is_fitted_where_four_counts_are_told(self) -> None:
        base = make_run(host=SHARED)
        said = connections.remark(base, self.runs(leg(55.0)))
        assert said.startswith("Universal Scalability Law")
        assert connections.remark(base, {"1 connection": [leg(50.0)]}) == ""

    def test_counts_are_in_equal_factors_from_one_to_all(self) -> None:
        assert connections.counts(64) == (1, 4, 16, 64)
        assert connections.counts(4096) == (1, 16, 256, 4096)
        assert isinstance(connections.legs(make_run(connections=8), ("x",)), str)


class TestBodySize:
    def points(self, slope: float, rule: str = "body_buffered") -> dict[str, list[Analyzed]]:
        held = {"whole": 400e6, "half": 200e6, "a quarter": 100e6}
        held["a quarter of the connections"] = 100e6
        return {
            label: [leg(evidence={rule: {"bodies_in_server": x, "growth": slope * x + 5e6}})]
            for label, x in held.items()
        }

    @pytest.mark.parametrize(
        ("suspect", "slope", "outcome"),
        [
            ("body_buffered", 1.0, CONFIRMED),
            ("body_buffered", 0.1, REFUTED),
            ("body_buffered", 0.5, UNDECIDED),
            ("body_copied", 2.0, CONFIRMED),
            ("body_copied", 1.0, REFUTED),
            ("body_copied", 1.5, UNDECIDED),
        ],
    )
    def test_memory_for_each_byte(self, suspect: str, slope: float, outcome: Outcome) -> None:
        assert judged(body_size, self.points(slope), suspect).outcome is outcome

    def test_bodies_that_were_hardly_in_flight(self) -> None:
        few = {"whole": [leg(evidence={"body_buffered": {"bodies_in_server": 1e6, "growth": 1e6}})]}
        assert judged(body_size, few, "body_buffered").outcome is UNDECIDED

    @pytest.mark.parametrize(
        ("quarter_s", "outcome"),
        [(0.0625, CONFIRMED), (0.25, REFUTED), (0.15, UNDECIDED)],
    )
    def test_time_over_size(self, quarter_s: float, outcome: Outcome) -> None:
        runs = {
            body_size.SINGLE: [leg(p50_s=1.0)],
            body_size.SINGLE_QUARTER: [leg(p50_s=quarter_s)],
        }
        assert judged(body_size, runs, "quadratic_body").outcome is outcome

    @pytest.mark.parametrize(
        ("share", "outcome"), [(0.9, CONFIRMED), (0.0, REFUTED), (0.3, UNDECIDED)]
    )
    def test_files(self, share: float, outcome: Outcome) -> None:
        one = leg(evidence={"body_spooled": {"in_new_files_per_body_byte": share}})
        runs = {"whole": [one], "a quarter": [one]}
        assert judged(body_size, runs, "body_spooled").outcome is outcome

    def test_an_answer_that_is_the_length_is_scaled_too(self) -> None:
        upload = replace(make_scenario().templates[0], body_length=4_000_000)
        upload = replace(upload, expect=replace(upload.expect, body="4000000"))
        (half,) = body_size.scaled((upload,), 2)
        assert (half.body_length, half.expect.body) == (2_000_000, "2000000")
        assert isinstance(body_size.legs(make_run(), ("body_buffered",)), str)


class TestKeepAlive:
    @pytest.mark.parametrize(
        ("many", "closes", "outcome"),
        [(1000, 5000, CONFIRMED), (3000, 0, REFUTED), (1000, 2500, UNDECIDED)],
    )
    def test_a_server_that_closes(self, many: float, closes: int, outcome: Outcome) -> None:
        kept = [leg(many, responses=5000, server_closes=closes) for _ in range(2)]
        runs = {keep_alive.ONE: rps(1000, 1000), keep_alive.MANY: kept}
        assert judged(keep_alive, runs, "connection_closed").outcome is outcome

    @pytest.mark.parametrize(
        ("many", "outcome"),
        [((2000, 1900), CONFIRMED), ((1010, 1000), REFUTED), ((1300, 1250), UNDECIDED)],
    )
    def test_a_slow_accept(self, many: tuple[float, float], outcome: Outcome) -> None:
        runs = {keep_alive.ONE: rps(1000, 1000), keep_alive.MANY: rps(*many)}
        assert judged(keep_alive, runs, "accept_bottleneck").outcome is outcome

    @pytest.mark.parametrize(("fewer", "outcome"), [(10.0, CONFIRMED), (40.0, REFUTED)])
    def test_a_limit(self, fewer: float, outcome: Outcome) -> None:
        def capped(limit: float) -> Analyzed:
            rows = {"responses_at_close": limit, "closes_at_this_number": 1.0}
            return leg(evidence={"keepalive_capped": rows})

        runs = {keep_alive.MANY: [capped(10.0)] * 2, keep_alive.FEWER: [capped(fewer)] * 2}
        assert judged(keep_alive, runs, "keepalive_capped").outcome is outcome


@pytest.mark.parametrize(
    ("late", "quick", "outcome"),
    [(0.044, 0.0004, CONFIRMED), (0.003, 0.003, REFUTED), (0.044, 0.02, UNDECIDED)],
)
def test_quick_ack(late: float, quick: float, outcome: Outcome) -> None:
    probes = tuple(
        ProbeCheck(name, "get", "pass", "", seconds, times_s=(seconds,) * 3)
        for name, seconds in (("late_ack", late), ("quick_ack", quick))
    )
    assert judged(quick_ack, {}, "delayed_ack", make_run(probes=probes)).outcome is outcome
    assert judged(quick_ack, {}, "delayed_ack", make_run(probes=())).outcome is UNDECIDED


@pytest.mark.parametrize(
    ("more", "left", "outcome"),
    [(88.0, 0.0, CONFIRMED), (190.0, 0.0, REFUTED), (88.0, 30.0, REFUTED), (60.0, 0.0, UNDECIDED)],
)
def test_served(more: float, left: float, outcome: Outcome) -> None:
    base = make_run(connections=128, load=make_load(connections=128, silent_connections=40))
    runs = {
        served.FEWER: [leg(evidence={"connection_cap": {"silent_connections": left}})],
        served.MORE: [leg(evidence={"connection_cap": {"served_connections": more}})],
    }
    assert judged(served, runs, "connection_cap", base).outcome is outcome
    assert isinstance(served.legs(make_run(), ("connection_cap",)), str)


@pytest.mark.parametrize(
    ("ratios", "outcome"),
    [((1.3, 1.2), CONFIRMED), ((1.0, 1.03), REFUTED), ((1.0, 1.2), UNDECIDED)],
)
def test_load_workers(ratios: tuple[float, float], outcome: Outcome) -> None:
    more = [leg(1000 * ratio, client_limited=True) for ratio in ratios]
    runs = {load_workers.SAME: rps(1000, 1000), load_workers.MORE: more}
    assert judged(load_workers, runs, "client_saturated").outcome is outcome


@pytest.mark.parametrize(
    ("several", "waits_s", "outcome"),
    [(1050, 0.15, CONFIRMED), (3000, 0.05, REFUTED), (1050, 0.01, UNDECIDED)],
)
def test_pipelined(several: float, waits_s: float, outcome: Outcome) -> None:
    runs = {
        pipelined.ONE: rps(1000, 1000),
        pipelined.SEVERAL: [leg(several, p50_s=waits_s)] * 2,
    }
    assert judged(pipelined, runs, "pipelining_serialized").outcome is outcome


@pytest.mark.parametrize(
    ("used", "outcome"), [(0.98, CONFIRMED), (0.01, REFUTED), (0.3, UNDECIDED)]
)
def test_unloaded(used: float, outcome: Outcome) -> None:
    runs = {unloaded.QUIET: [leg(1.0, cores=used)]}
    assert judged(unloaded, runs, "busy_spin").outcome is outcome
    assert judged(unloaded, {}, "busy_spin").outcome is UNDECIDED


@pytest.mark.parametrize(
    ("ratios", "outcome"),
    [((4.0, 3.5), CONFIRMED), ((1.1, 1.15), REFUTED), ((1.5, 1.6), UNDECIDED)],
)
def test_coding(ratios: tuple[float, float], outcome: Outcome) -> None:
    runs = {coding.CODED: rps(100, 100), coding.PLAIN: rps(*(100 * ratio for ratio in ratios))}
    assert judged(coding, runs, "compression_too_high").outcome is outcome


class TestForms:
    @pytest.mark.parametrize(
        ("length", "chunked", "outcome"),
        [
            (0, 5000, CONFIRMED),
            (0, 0, REFUTED),
            (5000, 5000, UNDECIDED),
            (0, 500, UNDECIDED),
        ],
    )
    def test_chunked(self, length: int, chunked: int, outcome: Outcome) -> None:
        def answered(wrong: int) -> Analyzed:
            return leg(responses=5000, ok=5000 - wrong, failures={"wrong_body": wrong})

        runs = {forms.LENGTH: [answered(length)], forms.CHUNKED: [answered(chunked)]}
        said = judged(forms, runs, "chunked_ignored")
        assert said.outcome is outcome, said

    def test_one_form_alone_decides_nothing(self) -> None:
        runs = {forms.LENGTH: [leg()]}
        assert judged(forms, runs, "chunked_ignored").outcome is UNDECIDED


@pytest.mark.parametrize(
    ("classes", "outcome"), [({"2xx": 900}, CONFIRMED), ({}, REFUTED), ({"4xx": 900}, REFUTED)]
)
def test_withheld(classes: dict[str, int], outcome: Outcome) -> None:
    runs = {withheld.HALF: [leg(ok=0, responses=900, status_classes=classes)]}
    assert judged(withheld, runs, "answered_before_body").outcome is outcome


@pytest.mark.parametrize(("rps", "said"), [(980.0, "0.98 of their rate"), (0.0, "0.00 of their")])
def test_others_beside_withheld_bodies(rps: float, said: str) -> None:
    runs = {
        withheld.HALF: [leg(ok=0, responses=0, status_classes={})],
        withheld.BESIDE: [leg(rps)],
        withheld.WITHOUT: [leg(1000.0)],
    }
    came = judged(withheld, runs, "length_not_read")
    assert came.outcome is REFUTED
    assert f"others were answered at {said}" in came.seen
    shares = [row.value for row in came.evidence if row.metric == "others_served"]
    assert shares == [pytest.approx(rps / 1000)]


def test_half_of_the_connections_hold_a_half() -> None:
    base = upload_run()
    legs = withheld.legs(base, ["length_not_read"])
    assert not isinstance(legs, str)
    assert [each.label for each in legs] == [withheld.HALF, withheld.BESIDE, withheld.WITHOUT]
    templates = legs[1].change.templates
    assert templates is not None
    assert [template.sending for template in templates] == [Sending.HALF, Sending.WHOLE]
    assert templates[1].body_length <= withheld.SMALL
    half = base.manifest.connections // 2
    assert (legs[1].change.connections, legs[2].change.connections) == (2 * half, half)


@pytest.mark.parametrize(
    ("short", "long", "leak", "retained"),
    [
        # In MiB, after three times the responses.
        pytest.param(50, 150, CONFIRMED, REFUTED, id="grows in step"),
        pytest.param(150, 155, REFUTED, CONFIRMED, id="stays"),
        pytest.param(50, 95, UNDECIDED, UNDECIDED, id="between"),
        pytest.param(1, 2, REFUTED, REFUTED, id="next to nothing"),
    ],
)
def test_again(
    monkeypatch: pytest.MonkeyPatch, short: int, long: int, leak: Outcome, retained: Outcome
) -> None:
    kept = {1000.0: short * 2.0**20, 3000.0: long * 2.0**20}

    def responses(run: Analyzed) -> float:
        assert run.run.load is not None
        return run.run.load.rps

    monkeypatch.setattr(again, "_responses", responses)
    monkeypatch.setattr(again, "_kept", lambda run: kept[responses(run)])
    runs = {again.SHORT: [leg(1000.0)], again.LONG: [leg(3000.0)]}
    assert judged(again, runs, "memory_leak").outcome is leak
    assert judged(again, runs, "memory_retained").outcome is retained


@pytest.mark.parametrize("suspect", ["memory_leak", "memory_retained"])
def test_again_without_memory_is_undecided(suspect: str) -> None:
    assert judged(again, {}, suspect).outcome is UNDECIDED


@pytest.mark.parametrize(
    ("suspect", "reader", "each", "outcome"),
    [
        ("memory_per_connection", "_memory", 1e6, CONFIRMED),
        ("memory_per_connection", "_memory", 1e4, REFUTED),
        ("memory_per_connection", "_memory", 2e5, UNDECIDED),
        ("thread_explosion", "_threads", 1.0, CONFIRMED),
        ("thread_explosion", "_threads", 0.0, REFUTED),
        ("thread_explosion", "_threads", 0.3, UNDECIDED),
    ],
)
def test_what_each_connection_takes(
    monkeypatch: pytest.MonkeyPatch, suspect: str, reader: str, each: float, outcome: Outcome
) -> None:
    # The rate stands for the number of connections.
    monkeypatch.setattr(connections, reader, lambda run: 5 + each * run.run.load.rps)
    runs = {f"{count} connections": [leg(float(count))] for count in (4, 16, 64)}
    assert judged(connections, runs, suspect).outcome is outcome
    assert judged(connections, {}, suspect).outcome is UNDECIDED


class TestKnob:
    def test_values_of_a_variable(self) -> None:
        legs = knob.by_environment("WORKERS=1,2, 4")
        assert [leg.label for leg in legs] == ["WORKERS=1", "WORKERS=2", "WORKERS=4"]
        assert legs[1].change.environment == (("WORKERS", "2"),)

    def test_values_of_an_argument(self) -> None:
        legs = knob.by_argument("--workers {1,2}", ("./server",))
        assert [leg.change.command for leg in legs] == [
            ("./server", "--workers", "1"),
            ("./server", "--workers", "2"),
        ]

    @pytest.mark.parametrize("text", ["WORKERS", "=1,2", "A B=1,2", "WORKERS=1", "WORKERS=1,1"])
    def test_what_is_no_setting(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"--vary|two different"):
            knob.by_environment(text)

    @pytest.mark.parametrize("text", ["--workers 1", "--a {1,2} --b {3,4}", "--workers {1}"])
    def test_what_is_no_argument(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"--vary-arg|two different"):
            knob.by_argument(text, ())

    @pytest.mark.parametrize(
        ("fast", "outcome"),
        [((1900, 1850, 1950), CONFIRMED), ((1010, 1005, 1000), REFUTED),
         ((1300, 1100, 1200), UNDECIDED)],
    )  # fmt: skip
    def test_a_setting_that_makes_it_faster(
        self, fast: tuple[float, ...], outcome: Outcome
    ) -> None:
        runs = {"WORKERS=1": rps(1000, 1000, 1000), "WORKERS=2": rps(*fast)}
        said = judged(knob, runs, "single_threaded")
        assert said.outcome is outcome
        if outcome is CONFIRMED:
            assert said.effect == "with WORKERS=2: 1.9x"

    def test_a_line_for_each_value(self) -> None:
        runs = {"WORKERS=1": rps(1000, 1000, 1000), "WORKERS=2": rps(1900, 1900, 1900)}
        first, second = knob.table({**runs})
        assert first.startswith("WORKERS=1: 1,000 to 1,000 requests a second")
        assert "1.90x of WORKERS=1 (1.90 to 1.90)" in second
        assert "too few" in knob.table({"WORKERS=1": []})[0]
