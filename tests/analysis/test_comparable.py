"""Which runs may be compared."""

from __future__ import annotations

import pytest

from diagnose.analysis.comparable import differences
from diagnose.model.run import Run
from tests.builders import make_host, make_load, make_run, make_scenario


@pytest.mark.parametrize(
    ("other", "said"),
    [
        pytest.param(make_run(connections=512), "connections", id="connections"),
        pytest.param(make_run(host=make_host(server=(0,))), "CPUs of the server", id="cpus"),
        pytest.param(
            make_run(scenario=make_scenario(duration_s=9.0)), "seconds of the window", id="seconds"
        ),
        pytest.param(make_run(load=make_load(generator="wrk")), "load generator", id="generator"),
    ],
)
def test_what_differs_is_named(other: Run, said: str) -> None:
    (difference,) = differences(make_run(), other)
    assert difference.startswith(f"{said}: ")


def test_runs_of_the_same_setting_may_be_compared() -> None:
    assert differences(make_run(), make_run(load=make_load(responses=7))) == []
