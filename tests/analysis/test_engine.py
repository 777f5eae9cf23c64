"""All rules together: what holds for each, how they are ranked, what an invalid run does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnose.analysis import engine
from diagnose.analysis.engine import analyze, rules
from diagnose.analysis.figures import figures
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure, FailureExample
from diagnose.model.run import PhaseSpan, Run
from diagnose.store import layout
from tests.builders import (
    CONNECT,
    GIB,
    IDLE,
    LAUNCH,
    MIB,
    PROBE,
    UPLOADS,
    WARMUP,
    WINDOW,
    empty_run,
    ended,
    evidence_of,
    make_finding,
    make_load,
    make_phases,
    make_run,
    make_samples,
    make_worker,
    one_thread,
    upload_run,
    with_failures,
)

RULES = sorted(rules())
VALIDITY = {name for name, module in rules().items() if module.KIND is Kind.VALIDITY}
FILES = {value for name, value in vars(layout).items() if name.isupper()}


# Rules about requests with a body.
OF_BODIES = (
    *("answered_before_body", "chunked_ignored", "content_type_dependent"),
    *("length_not_read", "body_copied", "body_spooled", "quadratic_body"),
)
# Rules that read a profile, or what files and answers are like.
OF_WORK = (
    *("exception_storm", "gc_pressure", "logging_per_request", "recompute_per_request"),
    "syscall_heavy",
)


class TestEveryRule:
    """What the engine and the reports rely on."""

    def test_has_a_test_module_of_its_own(self) -> None:
        folder = Path(__file__).parent / "rules"
        assert sorted(path.stem for path in folder.glob("test_*.py")) == [
            f"test_{name}" for name in RULES
        ]

    @pytest.mark.parametrize("name", RULES)
    def test_answers_an_empty_run(self, name: str) -> None:
        answer = rules()[name].check(empty_run())
        assert answer.id == name
        assert answer.kind is rules()[name].KIND
        expected = Verdict.FOUND if name == "too_few_samples" else Verdict.UNKNOWN
        assert answer.verdict is expected
        assert answer.claim

    @pytest.mark.parametrize("name", RULES)
    def test_does_not_find_a_healthy_run(self, name: str) -> None:
        answer = rules()[name].check(make_run())
        # The healthy run sends no bodies and took no profile; no other run stands beside it.
        asked_elsewhere = ("body_buffered", "profiler_disturbs", "slower_than_reference")
        unasked = name in (*asked_elsewhere, *OF_BODIES, *OF_WORK)
        assert answer.verdict is (Verdict.UNKNOWN if unasked else Verdict.CLEAR), answer.claim
        assert answer.next_step == ""
        assert answer.explains == 0.0


def check_form(answer: Finding) -> None:
    """The conventions for verdicts."""
    assert answer.claim
    assert 0.0 <= answer.explains <= 1.0
    if answer.verdict is Verdict.FOUND:
        assert answer.evidence, f"{answer.id} cites nothing"
        assert answer.next_step, f"{answer.id} leaves the reader alone"
    else:
        assert answer.next_step == ""
        assert answer.explains == 0.0
    for row in answer.evidence:
        assert row.metric
        assert row.source in FILES
        assert row.value == row.value, f"{answer.id}: {row.metric} is not a number"


FAULTY = {
    "one thread": make_run(samples=make_samples(one_thread(), host_busy=(1.0, 0.1, 0.16, 0.16))),
    "buffered bodies": upload_run(growth=900 * MIB),
    "memory without end": upload_run(growth=8 * GIB, in_flight=5 * GIB),
    "closed connections": make_run(load=make_load(server_closes=5000, opens=5000)),
    "failures": make_run(load=with_failures({kind.value: 50 for kind in Failure})),
    "hanging": make_run(
        load=make_load(unanswered=9, unanswered_stalled_s=11, drain_progress=False)
    ),
    "late generator": make_run(load=make_load(workers=(make_worker(lag_share=0.9),))),
    "dead": make_run(end=ended(-11, "window", "panic: out of range")),
    "no samples": make_run(samples=()),
    "no ticks": make_run(ticks=()),
    "no load": make_run(load=None),
    "nothing": empty_run(),
}


@pytest.mark.parametrize("run", FAULTY.values(), ids=FAULTY.keys())
def test_all_answers_keep_to_the_conventions(run: Run) -> None:
    answers = analyze(run)
    assert sorted(answer.id for answer in answers) == RULES
    assert any(answer.verdict is not Verdict.CLEAR for answer in answers)
    for answer in answers:
        check_form(answer)


class Fake(NamedTuple):
    """A rule that always answers the same."""

    kind: Kind
    verdict: Verdict
    explains: float = 0.0
    needs: tuple[str, ...] = ()
    brings_about: tuple[str, ...] = ()


def with_rules(monkeypatch: pytest.MonkeyPatch, **fakes: Fake) -> None:
    """Let the engine ask these rules only."""
    modules: dict[str, ModuleType] = {}
    for name, rule in fakes.items():
        answer = make_finding(name, rule.verdict, rule.kind, explains=rule.explains)
        modules[name] = ModuleType(name)
        vars(modules[name]).update(
            KIND=rule.kind, NEEDS=rule.needs, check=lambda run, answer=answer: answer
        )
        if rule.brings_about:
            vars(modules[name])["EXPLAINS"] = rule.brings_about
    monkeypatch.setattr(engine, "rules", lambda: modules)


FOUND, CLEAR, UNKNOWN = Verdict.FOUND, Verdict.CLEAR, Verdict.UNKNOWN


class TestRanking:
    """Found first, validity before causes before symptoms, then by what they explain."""

    def test_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with_rules(
            monkeypatch,
            clear_validity=Fake(Kind.VALIDITY, CLEAR),
            unknown_cause=Fake(Kind.CAUSE, UNKNOWN),
            symptom_large=Fake(Kind.SYMPTOM, FOUND, 0.9),
            symptom_small=Fake(Kind.SYMPTOM, FOUND, 0.1),
            cause_b=Fake(Kind.CAUSE, FOUND, 0.5),
            cause_a=Fake(Kind.CAUSE, FOUND, 0.5),
            cause_large=Fake(Kind.CAUSE, FOUND, 0.7),
            invalid=Fake(Kind.VALIDITY, FOUND),
            unknown_symptom=Fake(Kind.SYMPTOM, UNKNOWN),
        )
        assert [answer.id for answer in analyze(make_run())] == [
            "invalid",
            "cause_large",
            "cause_a",
            "cause_b",
            "symptom_large",
            "symptom_small",
            "unknown_cause",
            "unknown_symptom",
            "clear_validity",
        ]

    def test_of_two_causes_the_one_of_more_symptoms_comes_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_rules(
            monkeypatch,
            a_of_none=Fake(Kind.CAUSE, FOUND, 0.5),
            b_of_one=Fake(Kind.CAUSE, FOUND, 0.5, brings_about=("slow", "not_found")),
            c_of_two=Fake(Kind.CAUSE, FOUND, 0.5, brings_about=("slow", "large")),
            slow=Fake(Kind.SYMPTOM, FOUND),
            large=Fake(Kind.SYMPTOM, FOUND),
            not_found=Fake(Kind.SYMPTOM, CLEAR),
        )
        ranked = [answer.id for answer in analyze(make_run())]
        assert ranked[:3] == ["c_of_two", "b_of_one", "a_of_none"]


class TestExplaining:
    """Symptoms that were found are linked to the found causes that bring them about."""

    def test_by_found_causes_only_and_in_their_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with_rules(
            monkeypatch,
            small=Fake(Kind.CAUSE, FOUND, 0.1, brings_about=("slow",)),
            large=Fake(Kind.CAUSE, FOUND, 0.9, brings_about=("slow",)),
            other=Fake(Kind.CAUSE, FOUND, 0.5, brings_about=("large_memory",)),
            silent=Fake(Kind.CAUSE, FOUND, 0.5),
            not_told=Fake(Kind.CAUSE, UNKNOWN, brings_about=("slow",)),
            ruled_out=Fake(Kind.CAUSE, CLEAR, brings_about=("slow",)),
            slow=Fake(Kind.SYMPTOM, FOUND),
        )
        answers = {row.id: row for row in analyze(make_run())}
        assert answers["slow"].explained_by == ("large", "small")
        assert not answers["slow"].unexplained
        assert all(not row.explained_by for row in answers.values() if row.id != "slow")

    @pytest.mark.parametrize(
        ("verdict", "unexplained"), [(FOUND, True), (CLEAR, False), (UNKNOWN, False)]
    )
    def test_a_symptom_that_nothing_explains_says_so(
        self, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, unexplained: bool
    ) -> None:
        with_rules(
            monkeypatch,
            cause=Fake(Kind.CAUSE, FOUND, 0.9, brings_about=("another",)),
            slow=Fake(Kind.SYMPTOM, verdict),
        )
        answers = {row.id: row for row in analyze(make_run())}
        assert answers["slow"].unexplained is unexplained
        assert not answers["cause"].unexplained

    def test_a_cause_that_is_held_back_explains_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_rules(
            monkeypatch,
            late=Fake(Kind.VALIDITY, FOUND),
            cause=Fake(Kind.CAUSE, FOUND, 0.9, ("late",), ("slow",)),
            slow=Fake(Kind.SYMPTOM, FOUND),
        )
        assert {row.id: row for row in analyze(make_run())}["slow"].unexplained

    @pytest.mark.parametrize("name", RULES)
    def test_what_a_rule_explains_is_a_symptom(self, name: str) -> None:
        symptoms = getattr(rules()[name], "EXPLAINS", ())
        if symptoms:
            assert rules()[name].KIND is Kind.CAUSE
        assert all(rules()[symptom].KIND is Kind.SYMPTOM for symptom in symptoms)

    def test_low_cpu_of_a_single_thread(self) -> None:
        samples = make_samples(one_thread(), host_busy=(1.0, 0.1, 0.16, 0.16))
        answers = {row.id: row for row in analyze(make_run(samples=samples))}
        assert answers["low_cpu"].explained_by == ("single_threaded",)


class TestHoldingBack:
    """Found on an invalid measurement is unknown."""

    def test_evidence_stays_and_the_verdict_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with_rules(
            monkeypatch,
            late=Fake(Kind.VALIDITY, FOUND),
            gaps=Fake(Kind.VALIDITY, FOUND),
            cause=Fake(Kind.CAUSE, FOUND, 0.9, ("late", "gaps", "other")),
        )
        answer = {row.id: row for row in analyze(make_run())}["cause"]
        assert answer.verdict is UNKNOWN
        assert answer.claim == "not valid here because of late, gaps: what cause says"
        assert answer.evidence == make_finding().evidence
        assert answer.next_step == ""
        assert answer.explains == 0.0

    @pytest.mark.parametrize("verdict", [CLEAR, UNKNOWN])
    def test_a_valid_measurement_holds_nothing_back(
        self, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
    ) -> None:
        with_rules(
            monkeypatch,
            late=Fake(Kind.VALIDITY, verdict),
            cause=Fake(Kind.CAUSE, FOUND, 0.9, ("late",)),
        )
        assert {row.id: row for row in analyze(make_run())}["cause"].verdict is FOUND

    def test_only_what_a_rule_needs_undoes_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with_rules(
            monkeypatch,
            late=Fake(Kind.VALIDITY, FOUND),
            cause=Fake(Kind.CAUSE, FOUND, 0.9, ("other",)),
        )
        assert {row.id: row for row in analyze(make_run())}["cause"].verdict is FOUND

    def test_a_symptom_undoes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with_rules(
            monkeypatch,
            slow=Fake(Kind.SYMPTOM, FOUND),
            cause=Fake(Kind.CAUSE, FOUND, 0.9, ("slow",)),
        )
        assert {row.id: row for row in analyze(make_run())}["cause"].verdict is FOUND

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            pytest.param(
                {"load": make_load(workers=(make_worker(asleep=0.01, lag_share=None),))},
                "client_saturated",
                id="client_saturated",
            ),
            pytest.param({"connections": 100}, "connections_missing", id="connections_missing"),
            pytest.param({"sample_rate_hz": 40.0}, "samples_missed", id="samples_missed"),
        ],
    )
    def test_each_validity_rule_holds_a_single_thread_back(
        self, changes: dict[str, Any], reason: str
    ) -> None:
        samples = make_samples(one_thread(), host_busy=(1.0, 0.1, 0.16, 0.16))
        run = make_run(samples=samples)
        assert {row.id: row for row in analyze(run)}["single_threaded"].verdict is FOUND
        run = make_run(**{"samples": samples, **changes})
        answer = {row.id: row for row in analyze(run)}["single_threaded"]
        assert answer.verdict is UNKNOWN
        assert reason in answer.claim
        assert "top_thread_busy" in evidence_of(answer)

    def test_a_fact_of_the_protocol_is_not_held_back(self) -> None:
        load = make_load(workers=(make_worker(lag_share=0.9),), server_closes=5000, opens=5000)
        answers = {row.id: row for row in analyze(make_run(load=load))}
        assert answers["client_saturated"].verdict is FOUND
        assert answers["connection_closed"].verdict is FOUND

    def test_nothing_is_ruled_out_by_an_invalid_measurement(self) -> None:
        run = make_run(
            samples=make_samples(one_thread(0.6), host_busy=(0.6, 0.0, 1.0, 1.0)),
            load=make_load(workers=(make_worker(lag_share=0.95, asleep=0.0),)),
        )
        answers = {row.id: row for row in analyze(run)}
        assert answers["client_saturated"].verdict is FOUND
        assert answers["single_threaded"].verdict is UNKNOWN
        assert "client_saturated" in answers["single_threaded"].claim


# -- partial runs --------------------------------------------------------------------------------

KINDS = [kind.value for kind in Failure]
BASES = (
    make_run(),
    upload_run(growth=900 * MIB),
    make_run(samples=make_samples(one_thread())),
)


@st.composite
def partial_runs(draw: st.DrawFn) -> Run:
    """A run with parts missing: killed, interrupted, sampled badly, answered strangely."""
    base = draw(st.sampled_from(BASES))
    samples = list(base.samples)
    first, last = sorted(draw(st.tuples(*[st.integers(0, len(samples))] * 2)))
    samples = samples[first : last : draw(st.sampled_from((1, 1, 3, 17)))]
    loss = draw(st.sampled_from(("nothing", "sockets", "threads", "processes", "cores")))
    if loss == "sockets":
        samples = [msgspec.structs.replace(sample, sockets=None) for sample in samples]
    elif loss == "threads":
        samples = [
            msgspec.structs.replace(
                sample,
                processes=tuple(msgspec.structs.replace(p, threads=()) for p in sample.processes),
            )
            for sample in samples
        ]
    elif loss == "processes":
        half = len(samples) // 2
        samples = [
            *samples[:half],
            *(msgspec.structs.replace(s, processes=(), gone=(4242, 5002)) for s in samples[half:]),
        ]
    elif loss == "cores":
        samples = [
            msgspec.structs.replace(s, host=msgspec.structs.replace(s.host, busy_s=()))
            for s in samples
        ]
    ticks = base.ticks[: draw(st.integers(0, len(base.ticks)))]
    manifest = base.manifest
    phases = manifest.phases[: draw(st.integers(0, len(manifest.phases)))]
    lasting = draw(st.booleans())
    if phases and lasting:
        phases = (*phases[:-1], PhaseSpan(phases[-1].name, phases[-1].started))
    ends = draw(st.sampled_from((manifest.end, ended(None), ended(-9), ended(3, "drain"))))
    manifest = replace(
        manifest,
        phases=phases,
        end=ends,
        connections=draw(st.sampled_from((1, 64, 16384))),
        probes=draw(st.sampled_from((manifest.probes, ()))),
        guard=replace(manifest.guard, tripped=draw(st.booleans())),
        scenario=draw(st.sampled_from((manifest.scenario, UPLOADS))),
    )
    load = base.load
    if draw(st.booleans()) and load is not None:
        responses = draw(st.sampled_from((0, 1, 19, 20, 5000)))
        # A wrong answer is a response as well, in the generator's count.
        failures = {
            kind: min(count, responses // 2) if kind.startswith("wrong") else count
            for kind, count in draw(
                st.dictionaries(st.sampled_from(KINDS), st.integers(1, 10**6))
            ).items()
        }
        load = replace(
            load,
            duration_s=draw(st.sampled_from((0.0, 0.3, 0.7, 5.0, 5.1))),
            responses=responses,
            failures=failures,
            examples=tuple(FailureExample(kind, "get", "seen") for kind in failures),
            workers=draw(
                st.sampled_from(
                    (
                        (),
                        (make_worker(wall_s=0.0),),
                        (make_worker(lag_share=None, asleep=0.0),),
                        (make_worker(latency_p50_s=0.0), make_worker(1, latency_p50_s=None)),
                    )
                )
            ),
            unanswered=draw(st.sampled_from((0, 64))),
            unanswered_stalled_s=draw(st.sampled_from((0.0, 100.0))),
            drain_progress=draw(st.booleans()),
            server_closes=draw(st.integers(0, 6000)),
            interrupted=draw(st.booleans()),
        )
    else:
        load = draw(st.sampled_from((None, load)))
    return replace(base, samples=tuple(samples), ticks=ticks, manifest=manifest, load=load)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(run=partial_runs())
def test_every_rule_answers_a_partial_run(run: Run) -> None:
    answers = analyze(run)
    assert sorted(answer.id for answer in answers) == RULES
    for answer in answers:
        check_form(answer)
    numbers = figures(run)
    assert numbers.connections == run.manifest.connections
    assert numbers.duration_s >= 0.0
    if not run.samples:
        assert numbers.cpu_cores is None


@pytest.mark.parametrize(
    ("phases", "end"),
    [
        pytest.param(1, LAUNCH, id="launch"),
        pytest.param(2, IDLE + 0.5, id="idle"),
        pytest.param(3, PROBE + 0.2, id="probe"),
        pytest.param(4, CONNECT + 0.2, id="connect"),
        pytest.param(5, WARMUP + 0.5, id="warm-up"),
        pytest.param(5, WINDOW + 2.0, id="window"),
    ],
)
def test_a_run_that_was_killed_gives_no_cause(phases: int, end: float) -> None:
    """The load is split into its phases, and load.json written, when the load is over."""
    whole = make_run(samples=make_samples(one_thread(), end=max(IDLE, end)))
    spans = (*make_phases()[:4], PhaseSpan("load", WARMUP))[:phases]
    spans = (*spans[:-1], PhaseSpan(spans[-1].name, spans[-1].started))
    run = replace(
        whole,
        load=None,
        ticks=tuple(tick for tick in whole.ticks if tick.t < end),
        manifest=replace(whole.manifest, state="running", phases=spans),
    )
    found = [answer for answer in analyze(run) if answer.verdict is FOUND]
    assert [answer.id for answer in found] == ["too_few_samples"]


def test_evidence_of_text_is_not_a_number() -> None:
    """The check above compares a value with itself; that must hold for text too."""
    check_form(make_finding(evidence=(Evidence("log", "line", "", None, "server.log"),)))
