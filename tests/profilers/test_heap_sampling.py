"""What lives in node's heap: looks, the height, and the functions that are named."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from diagnose.analysis.held import held_lines
from diagnose.model.profile import OUTSIDE_HEAP
from diagnose.profilers._inspector_session import Session
from diagnose.profilers._told import Refused
from diagnose.profilers.memory import _sampled_heaps, heap_sampling
from diagnose.profilers.memory._sampled_heaps import Heap, follow
from diagnose.store.reader import parse_folded
from tests.builders import make_waits

MIB = 2**20


def node(name: str, size: int, *children: dict[str, Any], url: str = "") -> dict[str, Any]:
    """A function in V8's tree of allocations."""
    call = {"functionName": name, "url": url, "lineNumber": 6, "columnNumber": 0}
    return {"callFrame": call, "selfSize": size, "id": 1, "children": list(children)}


def tree(size: int) -> dict[str, Any]:
    """A body that is held, and a little of node itself."""
    return node(
        "(root)",
        0,
        node("", 64, node("onData", size, url="file:///srv/app.js"), url="node:events"),
    )


class Asked:
    """A session of a process whose heap has these sizes, one after the other."""

    def __init__(self, *sizes: int, buffers: int = 0) -> None:
        self.methods: list[str] = []
        self._sizes = list(sizes)
        self._buffers = buffers

    def ask(self, method: str, **parameters: object) -> msgspec.Raw:
        self.methods.append(method)
        result: dict[str, Any] = {}
        if method == "HeapProfiler.getSamplingProfile":
            result = {"profile": {"head": tree(self._sizes.pop(0)), "samples": []}}
        if method == "Runtime.evaluate":
            result = {"result": {"type": "number", "value": self._buffers}}
        return msgspec.Raw(json.dumps(result).encode())


def test_the_height_is_kept(tmp_path: Path) -> None:
    session = Asked(1000, 9000, 2000, buffers=500)
    heap = Heap(4242, cast(Session, session), tmp_path)
    for _ in range(3):
        heap.look()
    assert session.methods[:2] == ["HeapProfiler.enable", "HeapProfiler.startSampling"]
    (held,) = heap_sampling.Profiler(tmp_path).collect()
    assert (held.pid, held.records, held.remedy) == (4242, 3, "")
    assert dict(parse_folded(held.folded)) == {
        ("node", "(anonymous) (node:events:7)", "onData (/srv/app.js:7)"): 9000,
        ("node", OUTSIDE_HEAP): 500,
        ("node", "(anonymous) (node:events:7)"): 64,
    }


def test_a_look_that_is_not_whole_is_said(tmp_path: Path) -> None:
    (tmp_path / "7.height").write_text('{"head"')
    (held,) = heap_sampling.Profiler(tmp_path).collect()
    assert held.pid == 7
    assert "heap profile is none" in held.remedy


def test_without_a_look_there_is_a_reason(tmp_path: Path) -> None:
    (held,) = heap_sampling.Profiler(tmp_path).collect()
    assert held.remedy == "there is no heap profile: no node was there long enough"
    (tmp_path / "7.error").write_text("the inspector refused HeapProfiler.enable\n")
    (held,) = heap_sampling.Profiler(tmp_path).collect()
    assert held.remedy.endswith("the inspector refused HeapProfiler.enable")


def test_every_node_process_gets_an_inspector_of_its_own(tmp_path: Path) -> None:
    wrapped = heap_sampling.Profiler(tmp_path).wrapped(("npm", "start"), {"NODE_OPTIONS": "--a"})
    assert wrapped.command[-2:] == ("npm", "start")
    assert wrapped.command[3] == str(tmp_path)
    assert wrapped.environment["NODE_OPTIONS"] == "--a --inspect=127.0.0.1:0"


class TestFollow:
    """Each process is looked at once in a round."""

    def test_one_that_has_no_inspector_yet_is_asked_again(self, tmp_path: Path) -> None:
        asked: list[int] = []

        def connect(pid: int, into: Path) -> Heap | None:
            asked.append(pid)
            return Heap(pid, cast(Session, Asked(10, 20)), into) if len(asked) > 1 else None

        heaps: dict[int, Heap | None] = {}
        for _ in range(3):
            follow(heaps, [7], tmp_path, connect)
        assert asked == [7, 7]
        assert (tmp_path / "7.height").exists()

    @pytest.mark.parametrize(
        ("pid", "told"), [(os.getpid(), "refused it\n"), (2**22 + 1, "")], ids=["there", "gone"]
    )
    def test_one_that_refuses_is_not_asked_again(self, tmp_path: Path, pid: int, told: str) -> None:
        asked: list[int] = []

        def connect(pid: int, into: Path) -> Heap | None:
            asked.append(pid)
            raise Refused("refused it")

        heaps: dict[int, Heap | None] = {}
        for _ in range(2):
            follow(heaps, [pid], tmp_path, connect)
        assert asked == [pid]
        errors = [path.read_text() for path in tmp_path.glob("*.error")]
        assert errors == ([told.strip()] if told else [])


def test_the_command_has_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sampled_heaps.signal, "signal", lambda *_: None)
    monkeypatch.setattr(_sampled_heaps, "PAUSE_S", 0.0)
    assert _sampled_heaps.main(tmp_path, ["sh", "-c", "exit 3"]) == 3


def test_the_function_or_the_buffers_are_named() -> None:
    stacks = {
        f"node;{OUTSIDE_HEAP}": 128 * MIB,
        "node;(anonymous) (node:events:7);onData (/srv/app.js:7)": 3 * MIB,
    }
    profile = make_waits(stacks, kind="memory", unit="bytes", runtime="node")
    profile = replace(profile, note=replace(profile.note, profiler="heap_sampling"))
    first, second = held_lines([profile])
    assert first.said == "live at the height: [buffers outside of V8's heap]"
    assert second.said == "live at the height at onData (app.js:7)"
