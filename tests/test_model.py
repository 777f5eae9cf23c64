"""The model: what its properties say, and that it survives the way to disk and back."""

from __future__ import annotations

import dataclasses
import inspect
from types import ModuleType

import msgspec
import pytest

from diagnose.model import finding, load, profile, report, run, samples, scenario
from diagnose.model.load import LoadResult, LoadTick
from diagnose.model.profile import Profile, ProfileNote
from diagnose.model.run import Manifest, PhaseSpan
from diagnose.model.samples import Sample
from diagnose.model.scenario import RequestTemplate
from tests.builders import (
    DRAIN,
    IDLE,
    UPLOADS,
    WINDOW,
    Process,
    flat,
    make_load,
    make_manifest,
    make_profile,
    make_run,
    make_samples,
    make_scenario,
    make_ticks,
    with_failures,
)

MODULES: tuple[ModuleType, ...] = (finding, load, profile, report, run, samples, scenario)
CLASSES = [
    value
    for module in MODULES
    for value in vars(module).values()
    if inspect.isclass(value) and value.__module__ == module.__name__
]


def test_everything_is_frozen() -> None:
    assert CLASSES
    for kind in CLASSES:
        if dataclasses.is_dataclass(kind):
            assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
            assert hasattr(kind, "__slots__"), kind
        elif issubclass(kind, msgspec.Struct):
            assert kind.__struct_config__.frozen, kind
        else:
            assert issubclass(kind, str), f"{kind}: enumerations are their own values on disk"


class TestLoadResult:
    """Derived figures."""

    def test_rate_is_of_right_responses(self) -> None:
        assert make_load(ok=900, responses=1000, duration_s=4.5).rps == 200.0

    def test_rate_of_no_time_is_zero(self) -> None:
        assert make_load(duration_s=0.0).rps == 0.0

    def test_failed_is_the_sum_of_all_kinds(self) -> None:
        assert with_failures({"refused": 2, "wrong_body": 40}).failed == 42
        assert make_load().failed == 0


class TestSamples:
    """Memory of a whole tree."""

    sample = make_samples(
        (
            Process(1, anonymous=flat(1), shared=flat(20), file=flat(300)),
            Process(2, anonymous=flat(4000), shared=flat(0), file=flat(0)),
        )
    )[0]

    def test_rss_has_file_pages_and_held_has_not(self) -> None:
        assert self.sample.rss == 4321
        assert self.sample.held == 4021


class TestRun:
    """Phases and the samples in them."""

    def test_samples_of_a_phase_are_between_its_ends(self) -> None:
        moments = [sample.t for sample in make_run().samples_in("window")]
        assert moments[0] == pytest.approx(WINDOW)
        assert moments[-1] == pytest.approx(DRAIN)
        assert len(moments) == 101

    def test_a_phase_that_lasts_has_all_that_follows(self) -> None:
        whole = make_run(phases=(PhaseSpan("idle", IDLE),))
        assert whole.samples_in("idle") == whole.samples

    def test_a_phase_that_never_came_has_none(self) -> None:
        assert make_run().phase("profile") is None
        assert make_run().samples_in("profile") == ()


class TestScenario:
    """Bodies of templates."""

    @pytest.mark.parametrize(
        ("template", "length"),
        [
            pytest.param(RequestTemplate("a", "GET", "/"), 0, id="none"),
            pytest.param(RequestTemplate("a", "POST", "/", body="20"), 2, id="text"),
            pytest.param(RequestTemplate("a", "POST", "/", body="é€"), 5, id="UTF-8"),
            pytest.param(RequestTemplate("a", "POST", "/", body_length=7), 7, id="generated"),
        ],
    )
    def test_payload_is_counted_in_bytes(self, template: RequestTemplate, length: int) -> None:
        assert template.payload_length == length

    @pytest.mark.parametrize(
        ("length", "large"), [(0, False), (64 * 1024 - 1, False), (64 * 1024, True)]
    )
    def test_large_bodies_start_at_64_kib(self, length: int, large: bool) -> None:
        template = RequestTemplate("a", "POST", "/", body_length=length)
        assert make_scenario(templates=(template, template)).has_large_bodies is large

    def test_a_large_body_among_small_requests_does_not_dominate(self) -> None:
        template = RequestTemplate("a", "POST", "/", body_length=1 << 20)
        small = RequestTemplate("b", "GET", "/")
        assert not make_scenario(templates=(small, template)).has_large_bodies


class TestProfile:
    """Shares of hot frames."""

    def test_the_top_of_the_stack_is_hot(self) -> None:
        taken = make_profile({"main;a": 10, "main;b;a": 60, "main;b": 25, "idle": 5})
        assert taken.weight == 100
        assert taken.hot_leaves(2) == [("a", 0.7), ("b", 0.25)]

    def test_no_stacks_have_no_leaves(self) -> None:
        empty = Profile(ProfileNote("perf", 1, "native", 99, 0, 0, ""), ())
        assert empty.weight == 0
        assert empty.hot_leaves() == []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param(make_manifest(scenario=UPLOADS), Manifest, id="Manifest"),
        pytest.param(make_load(), LoadResult, id="LoadResult"),
        pytest.param(make_samples()[0], Sample, id="Sample"),
        pytest.param(make_ticks()[0], LoadTick, id="LoadTick"),
    ],
)
def test_what_is_stored_comes_back_the_same(value: object, kind: type) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value


def test_rows_are_stored_as_arrays() -> None:
    """A run holds hundreds of thousands of them."""
    assert msgspec.json.encode(make_ticks()[0]).startswith(b"[")
    assert msgspec.json.encode(make_samples()[0].processes[0]).startswith(b"[")
