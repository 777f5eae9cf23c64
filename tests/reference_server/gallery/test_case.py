"""A case says what is missing, prepares its command, and starts and ends its companion."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reference_server.gallery.building import Recipe
from reference_server.gallery.case import Case, Group, Needs


def make_case(**changed: object) -> Case:
    """A case of which one thing is told."""
    told: dict[str, object] = {
        "name": "example",
        "group": Group.FAULT,
        "runtime": "x",
        "title": "an example",
        "command": ("server", "$PORT"),
        "scenario": "baseline",
        "connections": 1,
        **changed,
    }
    return Case(**told)  # type: ignore[arg-type]


def test_nothing_is_missing_when_all_is_there(tmp_path: Path) -> None:
    (tmp_path / "two" / "express").mkdir(parents=True)
    needs = Needs(programs=("node",), modules=("flask",), node_modules=("express",))
    assert (
        needs.missing(
            which=lambda name: f"/bin/{name}",
            importable=lambda name: object(),
            environment={"NODE_PATH": f"{tmp_path}/one:{tmp_path}/two"},
        )
        == ()
    )


def test_each_missing_thing_has_a_sentence_and_a_remedy() -> None:
    needs = Needs(programs=("go", "caddy"), modules=("granian",), node_modules=("express",))
    assert needs.missing(which=lambda name: None, importable=lambda name: None, environment={}) == (
        "go is not on PATH (Debian: golang-go)",
        "caddy is not on PATH (Debian: caddy)",
        "the Python module granian is not installed (pip install 'httparena-diagnose[selftest]')",
        "the node module express is not below NODE_PATH (npm install express)",
    )


def test_case_asks_its_own_machine() -> None:
    assert make_case().missing() == ()
    (reason,) = make_case(needs=Needs(programs=("no-such-program",))).missing()
    assert reason.startswith("no-such-program is not on PATH")
    (reason,) = make_case(needs=Needs(modules=("no_such_module",))).missing()
    assert "no_such_module" in reason


def test_command_without_sources_needs_no_directory(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert make_case().prepare(cache) == ("server", "$PORT")
    assert not cache.exists()


def test_command_names_where_it_was_built(tmp_path: Path) -> None:
    case = make_case(
        command=("$HERE/server", "$PORT", "--root=$HERE"), recipe=Recipe(("www/index.html",))
    )
    program, port, root = case.prepare(tmp_path)
    here = Path(program).parent
    assert here.parent == tmp_path
    assert (here / "index.html").is_file()
    assert port == "$PORT"
    assert root == f"--root={here}"


def test_case_is_alone_unless_it_has_a_companion() -> None:
    with make_case().accompanied() as pid:
        assert pid is None


def test_companion_runs_for_as_long_as_the_case() -> None:
    waits = (sys.executable, "-c", "import signal; signal.pause()")
    with make_case(companion=waits).accompanied() as pid:
        assert pid is not None
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_companion_ends_when_the_case_fails() -> None:
    waits = (sys.executable, "-c", "import signal; signal.pause()")
    seen: list[int | None] = []

    def fail() -> None:
        with make_case(companion=waits).accompanied() as pid:
            seen.append(pid)
            raise RuntimeError("the case failed")

    with pytest.raises(RuntimeError, match="the case failed"):
        fail()
    assert not Path(f"/proc/{seen[0]}").exists()
