"""What a run has to keep, as the command line asks for it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from diagnose.cli.gates import Asked, wanted_gates
from diagnose.cli.results import finish
from diagnose.errors import UsageError
from tests.builders import make_load, make_run
from tests.store.stored import store


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return store(tmp_path / "runs", make_run())


def asked(run: Path, ratio: float | None = None, **options: object) -> Asked:
    baseline = run if ratio is not None else None
    fail_on = options.pop("fail_on", None)
    memory = options.pop("memory", None)
    assert fail_on is None or isinstance(fail_on, str)
    assert memory is None or isinstance(memory, str)
    return Asked(wanted_gates(fail_on, memory, ratio, baseline), **options)  # type: ignore[arg-type]


def test_all_kept_is_status_0(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = asked(run, 0.95, fail_on="memory_leak,body_buffered", memory="4G")
    assert finish([run], False, False, wanted) == 0
    said = capsys.readouterr().err
    assert said.count("kept  ") == 4
    assert "min-rps-ratio: 1,000/s is 1.00 of 1,000/s" in said


def test_one_missed_is_status_1(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finish([run], False, False, asked(run, memory="1M")) == 1
    assert "NOT KEPT  budget-memory: peak RSS" in capsys.readouterr().err


def test_a_slower_run_is_status_1(run: Path, tmp_path: Path) -> None:
    fast = store(tmp_path / "fast", make_run(load=make_load(ok=6250, responses=6250)))
    assert finish([run], False, False, asked(fast, 0.95)) == 1
    assert finish([run], False, False, asked(fast, 0.75)) == 0


def test_another_load_is_refused(run: Path, tmp_path: Path) -> None:
    other = store(tmp_path / "other", make_run(connections=8))
    with pytest.raises(UsageError, match="connections: 64 and 8"):
        finish([other], False, False, asked(run, 0.95))


def test_forms_for_ci(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "junit.xml"
    wanted = asked(run, memory="1M", junit=path, annotations=True)
    assert finish([run], False, False, wanted) == 1
    assert len(ET.parse(path).getroot()) == 1
    assert "::error title=diagnose%3A budget-memory::" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no_such_finding", None, None, None), "no_such_finding"),
        ((None, "lots", None, None), "lots"),
        ((None, None, 0.9, None), "go together"),
        ((None, None, None, Path("x")), "go together"),
        ((None, None, -1.0, Path("x")), "above 0"),
    ],
)
def test_bad_input(arguments: tuple[str, str, float, Path], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wanted_gates(*arguments)
