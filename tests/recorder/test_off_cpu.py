"""When it is worth looking where threads wait."""

from __future__ import annotations

import pytest

from diagnose.recorder.off_cpu import waits_for_cores


@pytest.mark.parametrize(
    ("busy", "own", "nothing_to_see"),
    [
        pytest.param(0.98, 0.9, True, id="the server uses them"),
        pytest.param(0.98, 0.5, False, id="one core of two, and the load the other"),
        pytest.param(0.98, 0.01, False, id="others use them, and it sleeps"),
        pytest.param(0.6, 0.6, False, id="cores are free"),
    ],
)
def test_a_server_that_uses_its_cores_waits_for_nothing(
    busy: float, own: float, nothing_to_see: bool
) -> None:
    assert waits_for_cores(busy, own) is nothing_to_see
