"""What a recipe builds is built once, and again when a source, a command or a compiler changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reference_server.gallery import building
from reference_server.gallery.building import BuildFailed, Recipe

COUNT = (
    "from pathlib import Path; log = Path({log!r}); log.open('a').write('built\\n'); "
    "Path('program').write_text(Path('main.x').read_text().upper())"
)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of sources with one program in it."""
    directory = tmp_path / "sources"
    (directory / "x").mkdir(parents=True)
    (directory / "x" / "main.x").write_text("one")
    monkeypatch.setattr(building, "SOURCES", directory)
    return directory


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A compiler that makes capitals, and writes down that it was called."""
    return Recipe(("x/main.x",), ((sys.executable, "-c", COUNT.format(log=str(tmp_path / "log"))),))


def builds(tmp_path: Path) -> int:
    return len((tmp_path / "log").read_text().splitlines())


def test_same_source_is_built_once(sources: Path, recipe: Recipe, tmp_path: Path) -> None:
    first = recipe.built(tmp_path / "cache")
    assert (first / "program").read_text() == "ONE"
    assert recipe.built(tmp_path / "cache") == first
    assert builds(tmp_path) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.name]
    assert first.name == f"x-{recipe.digest()}"


def test_changed_source_is_built_anew(sources: Path, recipe: Recipe, tmp_path: Path) -> None:
    first = recipe.built(tmp_path / "cache")
    (sources / "x" / "main.x").write_text("two")
    second = recipe.built(tmp_path / "cache")
    assert second != first
    assert (second / "program").read_text() == "TWO"
    assert (first / "program").read_text() == "ONE"


def test_changed_command_is_another_build(sources: Path) -> None:
    digests = {
        Recipe(("x/main.x",), commands).digest()
        for commands in ((), (("cc", "-O2"),), (("cc", "-O", "2"),), (("cc",), ("-O2",)))
    }
    assert len(digests) == 4


def test_another_compiler_builds_anew(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "bin" / "compiler"
    compiler.parent.mkdir()
    monkeypatch.setenv("PATH", str(compiler.parent))
    recipe = Recipe(("x/main.x",), (("compiler",),))
    absent = recipe.digest()
    compiler.write_text("version 1")
    compiler.chmod(0o755)
    first = recipe.digest()
    compiler.write_text("version 1.1")
    assert len({absent, first, recipe.digest()}) == 3


def test_failed_build_says_what_the_compiler_said(sources: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        ("x/main.x",), ((sys.executable, "-c", "import sys; print('no such type'); sys.exit(3)"),)
    )
    with pytest.raises(BuildFailed, match=r"status 3:\nno such type"):
        recipe.built(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_absent_compiler_is_named(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="no-such-compiler is not on PATH"):
        Recipe(("x/main.x",), (("no-such-compiler",),)).built(tmp_path / "cache")


def test_endless_build_is_given_up(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BUILD_S", 0.0)
    with pytest.raises(BuildFailed, match="was not over after 0 s"):
        Recipe(("x/main.x",), ((sys.executable, "-c", "input()"),)).built(tmp_path / "cache")
