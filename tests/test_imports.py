"""The rooms of the package and who may enter them, held over the import graph.

Sources are parsed, never imported. The checker itself is tested on small trees with one thing
wrong each.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("diagnose", "reference_server", "scenarios")

PURE_PLUMBING = {"errors", "plain", "units", "registry", "values", "websocket"}
PLUMBING = PURE_PLUMBING | {"child", "orphan", "process_tree", "tls"}
WORKING = {"scenario", "server", "load", "sampling", "profilers", "store"}
JUDGING = {"analysis", "reports"}
# `""` is diagnose/__init__.py: the version.
ALLOWED: dict[str, set[str]] = {
    "": set(),
    **{room: PLUMBING for room in PLUMBING},
    "model": PURE_PLUMBING | {"model"},
    **{room: PLUMBING | {"", "model", room} for room in WORKING},
    "analysis": PURE_PLUMBING | {"model", "analysis"},
    "reports": PURE_PLUMBING | {"model", "analysis", "reports"},
}
SEES_WORKING_ROOMS = {"recorder", "experiments", "cli"}
# Processes, sockets, clocks, files: what analysis and reports do without.
IMPURE = {
    *("os", "socket", "subprocess", "time", "multiprocessing", "select", "selectors", "signal"),
    *("psutil", "pathlib", "shutil", "tempfile", "threading", "asyncio", "concurrent", "glob"),
    *("urllib", "http", "requests", "httpx", "fcntl", "mmap", "resource", "platform", "ctypes"),
}
# What a process beside the measurement may not load: each costs tenths of a second and megabytes.
HEAVY = {"typer", "rich", "matplotlib", "click"}
BESIDE_THE_MEASUREMENT = (
    "diagnose.load.worker",
    "diagnose.sampling.sampler",
    "diagnose.server.warden",
)


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed module; imports: every dotted name that it imports, `from a import b` as `a.b`."""

    name: str
    tree: ast.Module
    imports: frozenset[str]

    @property
    def room(self) -> str:
        """The part of `diagnose` that it belongs to."""
        return room_of(self.name)


def room_of(name: str) -> str:
    """`load` for `diagnose.load.engine`; `` for `diagnose` itself."""
    return name.split(".")[1] if "." in name else ""


def read_tree(root: Path, *packages: str) -> dict[str, Module]:
    """All modules of the packages below root, by dotted name."""
    sources: dict[str, Path] = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            sources[name] = path
    modules: dict[str, Module] = {}
    for name, path in sources.items():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        # Relative imports of a package's own __init__ start at the package itself.
        home = name if path.name == "__init__.py" else name.rpartition(".")[0]
        modules[name] = Module(name, tree, frozenset(imported(tree, home)))
    return modules


def imported(tree: ast.Module, home: str) -> Iterator[str]:
    """Every name that a module of the package `home` imports, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = home.split(".")
                kept = parents[: len(parents) - node.level + 1]
                base = ".".join([*kept, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            # importlib.import_module("x") and registry.modules("x") load what they name.
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            first = node.args[0] if node.args else None
            if (
                name in ("import_module", "__import__", "modules")
                and isinstance(first, ast.Constant)
                and isinstance(first.value, str)
            ):
                yield first.value


def target(name: str, modules: Mapping[str, Module]) -> str | None:
    """The module of the tree that an imported name is, or is in."""
    while name:
        if name in modules:
            return name
        name = name.rpartition(".")[0]
    return None


def targets(module: Module, modules: Mapping[str, Module]) -> set[str]:
    """The modules of the tree that a module imports."""
    found = {target(name, modules) for name in module.imports}
    return {name for name in found if name is not None and name != module.name}


def reachable(start: str, modules: Mapping[str, Module]) -> set[str]:
    """All modules of the tree that are loaded with one of them, parent packages included."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        waiting += targets(modules[name], modules)
    return seen


def room_violations(modules: Mapping[str, Module]) -> list[str]:
    """Imports from one room into another that may not be."""
    found: list[str] = []
    for module in modules.values():
        for other in sorted(targets(module, modules)):
            if not module.name.startswith("diagnose"):
                if other.startswith("diagnose"):
                    found.append(f"{module.name} imports {other}: it stands alone")
                continue
            if not other.startswith("diagnose"):
                continue
            room = room_of(other)
            if room == "cli" and module.room not in ("cli", "__main__"):
                found.append(f"{module.name} imports {other}: nothing imports the command line")
            elif module.room in ALLOWED:
                if room not in ALLOWED[module.room]:
                    found.append(f"{module.name} imports {other}: not from {module.room or 'here'}")
            elif room in WORKING and module.room not in SEES_WORKING_ROOMS:
                found.append(f"{module.name} imports {other}: a working room")
    return found


def impure_imports(modules: Mapping[str, Module]) -> list[str]:
    """Imports of processes, sockets, clocks and files in rooms that are pure."""
    return [
        f"{module.name} imports {name}"
        for module in modules.values()
        if module.name.startswith("diagnose.") and module.room in JUDGING
        for name in sorted(module.imports)
        if name.split(".")[0] in IMPURE
    ]


def calls_of(module: Module, name: str) -> list[int]:
    """The lines that call a built-in of that name."""
    return [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def heavy_imports(start: str, modules: Mapping[str, Module]) -> list[str]:
    """What a process loads that it should not, with the module that loads it."""
    return [
        f"{name} imports {wanted}"
        for name in sorted(reachable(start, modules))
        for wanted in sorted(modules[name].imports)
        if wanted.split(".")[0] in HEAVY
    ]


def undocumented(module: Module) -> list[str]:
    """The module, its public classes and functions and their public methods without docstring."""
    found = [] if ast.get_docstring(module.tree) else [module.name]
    waiting: list[tuple[str, ast.AST]] = [(module.name, module.tree)]
    while waiting:
        prefix, parent = waiting.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}.{node.name}"
                if node.name.startswith("_"):
                    continue
                if not ast.get_docstring(node):
                    found.append(name)
                if isinstance(node, ast.ClassDef):
                    waiting.append((name, node))
    return found


TREE = read_tree(ROOT, *PACKAGES)
OURS = sorted(name for name in TREE if name.split(".")[0] == "diagnose")


def test_the_tree_was_read() -> None:
    assert {"diagnose", "diagnose.recorder", "diagnose.model.run", "reference_server"} <= set(TREE)
    assert "diagnose.load.engine" in targets(TREE["diagnose.load.worker"], TREE)


def test_every_room_is_known() -> None:
    """A new room must be given its rules here."""
    rooms = {module.room for name, module in TREE.items() if name.startswith("diagnose")}
    assert rooms <= set(ALLOWED) | SEES_WORKING_ROOMS | {"__main__"}


def test_no_room_is_entered_that_is_closed() -> None:
    assert room_violations(TREE) == []


def test_analysis_and_reports_touch_nothing() -> None:
    assert impure_imports(TREE) == []


def test_analysis_and_reports_open_no_file() -> None:
    openers = [name for name in OURS if TREE[name].room in JUDGING and calls_of(TREE[name], "open")]
    assert openers == []


@pytest.mark.parametrize("start", BESIDE_THE_MEASUREMENT)
def test_processes_beside_the_measurement_are_light(start: str) -> None:
    assert start in TREE
    assert heavy_imports(start, TREE) == []


def test_only_the_command_line_prints() -> None:
    printing = {name for name in OURS if calls_of(TREE[name], "print")}
    assert {name for name in printing if TREE[name].room != "cli"} == set()


def test_everything_public_is_documented() -> None:
    assert [name for module in OURS for name in undocumented(TREE[module])] == []


# -- the checker itself --------------------------------------------------------------------------


def tree(root: Path, files: Mapping[str, str]) -> dict[str, Module]:
    """A package `diagnose` made of these sources by path, folders with their __init__."""
    for name, source in {"__init__": "", **files}.items():
        path = root / "diagnose" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(root).parents[:-1]:
            (root / folder / "__init__.py").touch()
        path.write_text(source)
    return read_tree(root, "diagnose")


@pytest.mark.parametrize(
    ("files", "culprit"),
    [
        pytest.param(
            {"model/run": "import diagnose.load.engine", "load/engine": ""},
            "diagnose.model.run imports diagnose.load.engine",
            id="model looks out",
        ),
        pytest.param(
            {"model/run": "from diagnose.child import Child", "child": ""},
            "diagnose.model.run imports diagnose.child",
            id="model starts processes",
        ),
        pytest.param(
            {"load/pool": "from diagnose.sampling import cpu", "sampling/cpu": ""},
            "diagnose.load.pool imports diagnose.sampling.cpu",
            id="working rooms see each other",
        ),
        pytest.param(
            {"load/pool": "from ..sampling.cpu import read", "sampling/cpu": ""},
            "diagnose.load.pool imports diagnose.sampling.cpu",
            id="relative import",
        ),
        pytest.param(
            {"store/reader": "def f():\n    import diagnose.server.host", "server/host": ""},
            "diagnose.store.reader imports diagnose.server.host",
            id="import inside a function",
        ),
        pytest.param(
            {"analysis/rules/slow": "from diagnose.store import reader", "store/reader": ""},
            "diagnose.analysis.rules.slow imports diagnose.store.reader",
            id="analysis reads files",
        ),
        pytest.param(
            {"analysis/engine": "import diagnose.reports.html", "reports/html": ""},
            "diagnose.analysis.engine imports diagnose.reports.html",
            id="analysis sees reports",
        ),
        pytest.param(
            {"reports/html": "from diagnose import recorder", "recorder": ""},
            "diagnose.reports.html imports diagnose.recorder",
            id="reports record",
        ),
        pytest.param(
            {"recorder": "from diagnose.cli.console import results_to", "cli/console": ""},
            "diagnose.recorder imports diagnose.cli.console",
            id="command line imported",
        ),
        pytest.param(
            {"bench": "import diagnose.load.engine", "load/engine": ""},
            "diagnose.bench imports diagnose.load.engine",
            id="an unknown room sees a working room",
        ),
        pytest.param(
            {
                "load/worker": "import importlib\nimportlib.import_module('diagnose.store.reader')",
                "store/reader": "",
            },
            "diagnose.load.worker imports diagnose.store.reader",
            id="import by name",
        ),
    ],
)
def test_a_closed_room_that_is_entered_is_caught(
    tmp_path: Path, files: dict[str, str], culprit: str
) -> None:
    found = room_violations(tree(tmp_path, files))
    assert len(found) == 1
    assert found[0].startswith(culprit + ":")


def test_what_may_be_imported_is_not_caught(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        {
            "errors": "",
            "child": "from diagnose.errors import WorkerFailed",
            "model/run": "from diagnose.errors import UsageError",
            "load/engine": "import diagnose\nfrom diagnose.model.run import Run\nimport os, time",
            "load/pool": "from diagnose.child import Child\nfrom .engine import Engine",
            "analysis/engine": "from diagnose.model.run import Run\nimport math",
            "reports/html": "from diagnose.analysis.engine import analyze",
            "recorder": "from diagnose.load.pool import LoadPool",
            "experiments/cores": "from diagnose.recorder import record\nimport diagnose.load.pool",
            "cli/app": "from diagnose.recorder import record\nimport diagnose.load.pool, rich",
            "__main__": "from diagnose.cli.app import app",
        },
    )
    assert room_violations(modules) == []
    assert impure_imports(modules) == []


def test_the_servers_that_stand_alone_are_held_to_it(tmp_path: Path) -> None:
    (tmp_path / "reference_server").mkdir()
    (tmp_path / "reference_server" / "entry.py").write_text("import diagnose.units")
    tree(tmp_path, {"units": ""})
    modules = read_tree(tmp_path, "diagnose", "reference_server")
    assert room_violations(modules) == [
        "reference_server.entry imports diagnose.units: it stands alone"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path",
        "from os import environ",
        "def f():\n    from time import monotonic",
        "from concurrent.futures import ThreadPoolExecutor",
        "from pathlib import Path",
    ],
)
def test_an_impure_import_is_caught(tmp_path: Path, source: str) -> None:
    rooms = ("analysis/rules/slow", "reports/html")
    assert len(impure_imports(tree(tmp_path, dict.fromkeys(rooms, source)))) == 2
    modules = tree(tmp_path, {**dict.fromkeys(rooms, "import math"), "load/x": source})
    assert impure_imports(modules) == []


def test_a_heavy_import_is_caught_through_others(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        {
            "load/worker": "from diagnose.load.engine import Engine",
            "load/engine": "from diagnose.model import run",
            "model/run": "def show():\n    import rich.table",
            "cli/app": "import typer",
        },
    )
    assert heavy_imports("diagnose.load.worker", modules) == [
        "diagnose.model.run imports rich.table"
    ]


def test_a_heavy_import_of_a_parent_package_is_caught(tmp_path: Path) -> None:
    modules = tree(tmp_path, {"load/__init__": "import matplotlib", "load/worker": ""})
    assert heavy_imports("diagnose.load.worker", modules) == ["diagnose.load imports matplotlib"]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        pytest.param('"""Doc."""\nx = 1\n', [], id="documented"),
        pytest.param("x = 1\n", ["diagnose.a"], id="module"),
        pytest.param('"""Doc."""\ndef f(): ...\n', ["diagnose.a.f"], id="function"),
        pytest.param('"""Doc."""\nasync def f(): ...\n', ["diagnose.a.f"], id="coroutine"),
        pytest.param('"""Doc."""\nclass C: ...\n', ["diagnose.a.C"], id="class"),
        pytest.param(
            '"""Doc."""\nclass C:\n    """Doc."""\n    def f(self): ...\n',
            ["diagnose.a.C.f"],
            id="method",
        ),
        pytest.param('"""Doc."""\ndef _f(): ...\nclass _C: ...\n', [], id="private"),
    ],
)
def test_what_is_not_documented_is_caught(tmp_path: Path, source: str, missing: list[str]) -> None:
    assert undocumented(tree(tmp_path, {"a": source})["diagnose.a"]) == missing


def test_print_is_caught_and_a_method_of_that_name_is_not(tmp_path: Path) -> None:
    modules = tree(tmp_path, {"a": "print('x')", "b": "console.print('x')\nprinter('print(1)')"})
    assert calls_of(modules["diagnose.a"], "print") == [1]
    assert calls_of(modules["diagnose.b"], "print") == []
