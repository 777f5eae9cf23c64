"""body_buffered: memory per body byte in the server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.body_buffered import check
from diagnose.model.finding import Verdict
from tests.builders import (
    BODY,
    COOLDOWN,
    GIB,
    MIB,
    UPLOADS,
    WARMUP,
    WAVE,
    Process,
    Sockets,
    Thread,
    evidence_of,
    flat,
    make_launch,
    make_load,
    make_phases,
    make_run,
    make_samples,
    make_scenario,
    make_ticks,
    ramp,
    upload_run,
)
from tests.builders import UPLOAD as TEMPLATE


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="streamed"),
        pytest.param(0.32, Verdict.CLEAR, id="streamed with a collected heap"),
        pytest.param(0.399, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(0.401, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(0.599, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.601, Verdict.FOUND, id="just over the limit"),
        pytest.param(1.04, Verdict.FOUND, id="buffered once"),
        pytest.param(1.9, Verdict.FOUND, id="buffered twice"),
    ],
)
def test_growth_per_body_byte_decides(ratio: float, verdict: Verdict) -> None:
    answer = check(upload_run(in_flight=800 * MIB, growth=ratio * 800 * MIB))
    assert answer.verdict is verdict
    assert evidence_of(answer)["growth_per_body_byte"] == pytest.approx(ratio, abs=1e-4)


def test_memory_that_shrinks_is_clear() -> None:
    answer = check(upload_run(in_flight=800 * MIB, baseline=500 * MIB, growth=-200 * MIB))
    assert answer.verdict is Verdict.CLEAR


def test_found_explains_the_bodies_share_of_the_growth() -> None:
    assert check(upload_run(growth=1600 * MIB, in_flight=800 * MIB)).explains == pytest.approx(0.5)
    assert check(upload_run(growth=500 * MIB, in_flight=800 * MIB)).explains == 1.0


def test_bytes_in_the_kernels_queues_are_not_the_servers() -> None:
    answer = check(upload_run(in_flight=800 * MIB, queued=700 * MIB, growth=95 * MIB))
    assert evidence_of(answer)["bodies_in_server"] == pytest.approx(100 * MIB, rel=1e-6)
    assert answer.verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("in_flight", "verdict"),
    [
        pytest.param(15.9 * MIB, Verdict.UNKNOWN, id="just under 16 MiB"),
        pytest.param(16.1 * MIB, Verdict.FOUND, id="just over 16 MiB"),
        pytest.param(0, Verdict.UNKNOWN, id="none"),
    ],
)
def test_enough_bytes_must_be_in_flight(in_flight: float, verdict: Verdict) -> None:
    answer = check(upload_run(in_flight=in_flight, growth=20 * MIB))
    assert answer.verdict is verdict
    assert ("only" in answer.claim) == (verdict is Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("growth", "verdict"),
    [
        pytest.param(15.9 * MIB, Verdict.UNKNOWN, id="just under 16 MiB"),
        pytest.param(16.1 * MIB, Verdict.FOUND, id="just over 16 MiB"),
    ],
)
def test_enough_memory_must_have_grown(growth: float, verdict: Verdict) -> None:
    assert check(upload_run(in_flight=20 * MIB, growth=growth)).verdict is verdict


@pytest.mark.parametrize("length", [0, 4 * MIB - 1], ids=["no body", "just under 4 MiB"])
def test_unknown_without_large_bodies(length: int) -> None:
    template = type(TEMPLATE)("post", "POST", "/upload", body_length=length)
    answer = check(upload_run(growth=GIB, scenario=make_scenario(templates=(template,))))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no large bodies" in answer.claim


def test_one_large_body_in_the_rotation_is_enough() -> None:
    small = type(TEMPLATE)("small", "POST", "/upload", body_length=1000)
    large = type(TEMPLATE)("large", "POST", "/upload", body_length=4 * MIB)
    scenario = make_scenario(templates=(small, large))
    assert check(upload_run(growth=GIB, scenario=scenario)).verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("no sockets", {"samples": make_samples(sockets=None)}),
        ("no samples before the load", {"samples": make_samples(start=WARMUP)}),
        ("no samples", {"samples": ()}),
        ("no ticks", {"ticks": ()}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unknown_when_memory_or_sockets_were_not_sampled(
    what: str, changes: dict[str, Any]
) -> None:
    whole = upload_run(growth=GIB)
    parts: dict[str, Any] = {"samples": whole.samples, "ticks": whole.ticks, **changes}
    answer = check(make_run(scenario=whole.manifest.scenario, **parts))
    assert answer.verdict is Verdict.UNKNOWN, what
    assert "not sampled" in answer.claim


def test_the_profiled_load_does_not_count() -> None:
    whole = upload_run(in_flight=20 * MIB, growth=0)
    later = make_ticks(start=COOLDOWN, end=COOLDOWN + 0.7, body_in_flight=flat(900 * MIB))
    late = [msgspec.structs.replace(tick, phase="window") for tick in later]
    run = make_run(
        samples=make_samples(sockets=Sockets(unread_bytes=flat(0))),
        ticks=[*whole.ticks, *late],
        scenario=whole.manifest.scenario,
        phases=make_phases(profiled=True),
    )
    assert evidence_of(check(run))["bodies_in_server"] == pytest.approx(20 * MIB, rel=1e-6)


@pytest.mark.parametrize("runtime", ["jvm", "dotnet"])
class TestHeapsThatKeepGarbage:
    """Growth says little there; the absence of growth says as much as elsewhere."""

    @pytest.mark.parametrize(
        ("ratio", "verdict"),
        [
            (0.1, Verdict.CLEAR),
            (0.399, Verdict.CLEAR),
            (0.401, Verdict.UNKNOWN),
            (2.4, Verdict.UNKNOWN),
        ],
    )
    def test_are_never_blamed(self, runtime: str, ratio: float, verdict: Verdict) -> None:
        launch = make_launch(runtimes={1: "cpython", 2: runtime})
        answer = check(upload_run(in_flight=800 * MIB, growth=ratio * 800 * MIB, launch=launch))
        assert answer.verdict is verdict
        assert (f"the heap of {runtime}" in answer.claim) == (verdict is Verdict.UNKNOWN)


def test_the_wave_of_first_bodies_counts() -> None:
    """All bodies at once, before the warm-up: the peak of both."""
    peak = ramp((WAVE, 0), (WARMUP - 0.05, 800 * MIB), (WARMUP + 0.5, 0))
    process = Process(threads=(Thread(1, 0.9),), anonymous=peak)
    run = make_run(
        samples=make_samples((process,)),
        ticks=make_ticks(start=WAVE, body_in_flight=peak),
        scenario=UPLOADS,
        phases=make_phases(wave=True),
    )
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["growth_per_body_byte"] == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(
    ("responses", "answered", "verdict"),
    [
        pytest.param(2000, 0, Verdict.UNKNOWN, id="many responses"),
        pytest.param(52, 52 * BODY, Verdict.UNKNOWN, id="a gigabyte of bodies"),
        pytest.param(51, 51 * BODY, Verdict.CLEAR, id="neither"),
    ],
)
def test_a_server_that_was_not_sampled_is_not_cleared(
    responses: int, answered: int, verdict: Verdict
) -> None:
    process = Process(threads=(Thread(1, 0.0, name="docker"),))
    whole = upload_run(in_flight=800 * MIB)
    run = make_run(
        samples=make_samples((process,)),
        ticks=whole.ticks,
        scenario=UPLOADS,
        load=make_load(responses=responses, ok=responses, body_answered=answered),
    )
    answer = check(run)
    assert answer.verdict is verdict
    assert ("not among them" in answer.claim) == (verdict is Verdict.UNKNOWN)


class TestAttached:
    """An earlier load may have left memory behind, which allocators keep and use again."""

    launch = make_launch(attached=True, command=())

    @pytest.mark.parametrize(
        ("baseline", "verdict"),
        [
            pytest.param(12 * GIB, Verdict.UNKNOWN, id="more than the bodies"),
            pytest.param(801 * MIB, Verdict.UNKNOWN, id="just more than the bodies"),
            pytest.param(799 * MIB, Verdict.CLEAR, id="just less than the bodies"),
        ],
    )
    def test_memory_that_was_held_before_the_load_does_not_clear_it(
        self, baseline: int, verdict: Verdict
    ) -> None:
        answer = check(upload_run(in_flight=800 * MIB, baseline=baseline, launch=self.launch))
        assert answer.verdict is verdict
        assert ("launch it fresh" in answer.claim) == (verdict is Verdict.UNKNOWN)

    def test_growth_is_found_whatever_was_held_before(self) -> None:
        run = upload_run(in_flight=4 * GIB, baseline=4 * GIB, growth=6 * GIB, launch=self.launch)
        assert check(run).verdict is Verdict.FOUND

    def test_a_launched_server_had_no_earlier_load(self) -> None:
        run = upload_run(in_flight=800 * MIB, baseline=12 * GIB)
        assert check(run).verdict is Verdict.CLEAR
