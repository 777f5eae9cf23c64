"""Rules and profilers are found by their file names, and by entry points of third parties."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from diagnose import registry
from diagnose.analysis import rules as rules_package
from diagnose.analysis.engine import RULES, rules
from diagnose.model.finding import Kind
from diagnose.profilers import __path__ as profilers_path

PROFILERS = "diagnose.profilers"
PACKAGES = {RULES: rules_package.__path__[0], PROFILERS: profilers_path[0]}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_is_found_by_its_name(package: str) -> None:
    files = {path.stem for path in Path(PACKAGES[package]).glob("*.py")}
    found = registry.modules(package)
    assert set(found) == {name for name in files if not name.startswith("_")}
    assert list(found) == sorted(found)
    for name, module in found.items():
        assert module.__name__ == f"{package}.{name}"


def test_private_modules_are_no_plug_ins() -> None:
    assert (Path(PACKAGES[PROFILERS]) / "_collected.py").exists()
    assert "_collected" not in registry.modules(PROFILERS)


def test_names_that_the_design_promises() -> None:
    promised = {
        *("client_saturated", "connections_missing", "too_few_samples", "samples_missed"),
        *("low_cpu", "memory_blowup", "errors", "wrong_answers", "crashed", "hung"),
        *("single_threaded", "connection_closed", "body_buffered"),
    }
    assert promised <= set(rules())
    assert {"perf", "py_spy"} <= set(registry.modules(PROFILERS))


@pytest.mark.parametrize("name", registry.modules(RULES))
def test_every_rule_is_whole(name: str) -> None:
    module = registry.modules(RULES)[name]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert isinstance(module.KIND, Kind)
    assert callable(module.check)
    assert module.__doc__
    first, _, _ = module.__doc__.partition("\n")
    assert re.fullmatch(r"[A-Z].*[.?]", first), first
    assert "\n\n" in module.__doc__, "the documentation of `diagnose findings` has a body"
    assert isinstance(module.NEEDS, tuple)
    assert name not in module.NEEDS


def test_a_rule_is_undone_only_by_validity_rules() -> None:
    known = registry.modules(RULES)
    needs = {need for module in known.values() for need in module.NEEDS}
    assert {need for need in needs if known[need].KIND is not Kind.VALIDITY} == set()


@pytest.mark.parametrize("name", registry.modules(PROFILERS))
def test_every_profiler_is_whole(name: str, tmp_path: Path) -> None:
    module = registry.modules(PROFILERS)[name]
    assert module.RUNTIMES
    assert all(isinstance(runtime, str) for runtime in module.RUNTIMES)
    assert isinstance(module.available(), str)
    missing = module.collect(tmp_path / "missing", "it said this")
    assert missing.folded == ""
    assert "it said this" in missing.remedy


def test_no_two_profilers_want_the_same_runtime() -> None:
    wanted = [
        runtime for module in registry.modules(PROFILERS).values() for runtime in module.RUNTIMES
    ]
    assert len(set(wanted)) == len(wanted)


def test_an_unknown_package() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        registry.modules("diagnose.no_such_package")


# -- third parties ------------------------------------------------------------------------------


@pytest.fixture(name="fresh")
def fresh_fixture() -> Iterator[None]:
    """Without what was found before, and leaving nothing behind."""
    registry.modules.cache_clear()
    yield
    registry.modules.cache_clear()


def third_party(monkeypatch: pytest.MonkeyPatch, **plug_ins: ModuleType) -> list[str]:
    """Entry points of those names; the groups that are asked for."""
    groups: list[str] = []

    def entry_points(*, group: str) -> list[SimpleNamespace]:
        groups.append(group)
        return [
            SimpleNamespace(name=name, load=lambda module=module: module)
            for name, module in plug_ins.items()
        ]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return groups


@pytest.mark.usefixtures("fresh")
def test_a_third_partys_module_is_added_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ModuleType("mine")
    groups = third_party(monkeypatch, mmm=mine)
    found = registry.modules(PROFILERS)
    assert found["mmm"] is mine
    assert "perf" in found
    assert list(found) == sorted(found)
    assert groups == [PROFILERS]


@pytest.mark.usefixtures("fresh")
def test_a_third_partys_module_replaces_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ModuleType("mine")
    third_party(monkeypatch, perf=mine)
    assert registry.modules(PROFILERS)["perf"] is mine


@pytest.mark.usefixtures("fresh")
def test_packages_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = third_party(monkeypatch)
    assert registry.modules(PROFILERS) is registry.modules(PROFILERS)
    assert groups == [PROFILERS]
