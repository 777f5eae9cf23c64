"""delayed_ack: the same request with late and with quick acknowledgments, and the load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from diagnose.analysis.rules.delayed_ack import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Latency, LoadResult, TemplateResult
from diagnose.model.run import ProbeCheck, Run
from diagnose.model.samples import NetworkSample
from diagnose.model.scenario import Protocol, RequestTemplate
from tests.builders import (
    GET,
    WINDOW,
    evidence_of,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    one_thread,
)

POST = RequestTemplate("post", "POST", "/", body="20")
LATE, QUICK = (0.0417, 0.0439, 0.044), (0.0012, 0.0013, 0.001)


def asked(
    late: Sequence[float] = LATE, quick: Sequence[float] | None = QUICK, template: str = "get"
) -> list[ProbeCheck]:
    """The two checks of a template."""

    def probe(name: str, times: Sequence[float]) -> ProbeCheck:
        return ProbeCheck(
            name, template, "pass", "", times[-1], "GET / HTTP/1.1\r\n\r\n", times_s=tuple(times)
        )

    checks = [probe("late_ack", late)]
    return checks if quick is None else [*checks, probe("quick_ack", quick)]


def loaded(p50_s: float = 0.0439, p99_s: float = 0.048, *names: str) -> LoadResult:
    """A load whose templates all have this latency."""
    latency = Latency(5000, p50_s, p50_s, p50_s, p99_s, p99_s, p99_s)
    templates = tuple(TemplateResult(name, 5000, 0, latency) for name in names or ("get",))
    return make_load(latency=latency, templates=templates)


def run_of(probes: Sequence[ProbeCheck], load: LoadResult | None, **changes: Any) -> Run:
    return make_run(probes=tuple(probes), load=load, **changes)


def delaying(per_second: float, busy: float) -> list[Any]:
    """Samples of a namespace that counts so many delayed acknowledgments a second."""
    return [
        replace(
            sample,
            network=NetworkSample(0, 0, 0, int(per_second * (sample.t - WINDOW + 10)), 0, 0, 0),
        )
        for sample in make_samples(one_thread(busy))
    ]


def test_quick_acknowledgments_take_the_wait_away() -> None:
    answer = check(run_of(asked(), loaded()))
    assert answer.verdict is Verdict.FOUND
    assert "44 ms on the idle server, and 1.2 ms when" in answer.claim
    assert evidence_of(answer)["late_ack_get"] == 0.0439
    assert evidence_of(answer)["request"] == r"GET / HTTP/1.1\r\n\r\n"
    assert answer.explains > 0.9


def test_some_kinds_of_requests_only() -> None:
    probes = [*asked(), *asked((0.0002, 0.0001, 0.0001), None, "post")]
    scenario = make_scenario(templates=(GET, POST))
    answer = check(run_of(probes, loaded(0.0439, 0.05, "get", "post"), scenario=scenario))
    assert answer.verdict is Verdict.FOUND
    assert answer.claim.startswith("the answer to get takes")


def test_a_wait_that_is_a_small_part_of_the_latency_explains_little() -> None:
    answer = check(run_of(asked(), loaded(0.43, 0.5)))
    assert answer.verdict is Verdict.FOUND
    assert answer.explains == pytest.approx(0.1, abs=0.01)


def test_found_without_a_load() -> None:
    assert check(run_of(asked(), None)).verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("late", "quick", "verdict"),
    [
        pytest.param((0.036, 0.05, 0.05), (0.018, 0.001, 0.001), Verdict.FOUND, id="at the limits"),
        pytest.param((0.0359, 0.05, 0.05), (0.001,) * 3, Verdict.CLEAR, id="one was soon"),
        pytest.param((0.04,) * 3, (0.0201, 0.001, 0.001), Verdict.UNKNOWN, id="one quick was late"),
        pytest.param((0.0426,) * 3, (0.0427,) * 3, Verdict.CLEAR, id="an honest handler of 42 ms"),
        pytest.param((0.0002,) * 3, None, Verdict.CLEAR, id="healthy"),
        pytest.param((0.5,) * 3, None, Verdict.CLEAR, id="slow, and not suspected"),
    ],
)
def test_both_must_say_so(
    late: Sequence[float], quick: Sequence[float] | None, verdict: Verdict
) -> None:
    assert check(run_of(asked(late, quick), loaded(0.0439, 0.3))).verdict is verdict


def test_the_load_does_not_show_it() -> None:
    answer = check(run_of(asked(), loaded(0.005)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "the next request acknowledges it" in answer.claim


def test_a_plateau_that_the_idle_server_did_not_show() -> None:
    probes = asked((0.0002,) * 3, None)
    samples = delaying(per_second=1000, busy=0.1)
    answer = check(run_of(probes, loaded(), samples=samples))
    assert answer.verdict is Verdict.UNKNOWN
    assert "half of the answers to get take 43.9 ms" in answer.claim
    assert "experiment quick_ack" in answer.claim


@pytest.mark.parametrize(
    ("load", "acks", "busy"),
    [
        pytest.param(loaded(0.03), 1000.0, 0.1, id="below the plateau"),
        pytest.param(loaded(0.06), 1000.0, 0.1, id="above it"),
        pytest.param(loaded(0.044, 0.1), 1000.0, 0.1, id="no plateau"),
        pytest.param(loaded(), 100.0, 0.1, id="hardly any late acknowledgment"),
        pytest.param(loaded(), 1000.0, 1.9, id="busy cores"),
    ],
)
def test_a_queue_is_no_plateau(load: LoadResult, acks: float, busy: float) -> None:
    probes = asked((0.0002,) * 3, None)
    run = run_of(probes, load, samples=delaying(acks, busy))
    assert check(run).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("probes", "changes", "said"),
    [
        pytest.param((), {}, "ended before the probes", id="no probe"),
        pytest.param(
            (ProbeCheck("plain", "get", "fail", "no"),), {}, "no small request", id="all wrong"
        ),
        pytest.param(
            (), {"scenario": make_scenario(protocol=Protocol.H2)}, "not tried over h2", id="HTTP/2"
        ),
    ],
)
def test_unknown(probes: tuple[ProbeCheck, ...], changes: dict[str, Any], said: str) -> None:
    answer = check(run_of(probes, loaded(0.001), **changes))
    assert answer.verdict is Verdict.UNKNOWN
    assert said in answer.claim
