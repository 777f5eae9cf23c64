"""Every file among the faults is found, declares what it should, and changes the entry."""

from __future__ import annotations

import pkgutil
import re

import pytest

from reference_server import faults
from reference_server.entry import Entry, healthy_entry
from reference_server.faults import fault_names, load_fault, replace_route
from reference_server.faults.buffered_body import BufferedBody
from reference_server.messages import Body, Request, Response, Route

HEALTHY = healthy_entry(workers=2)


def test_faults_are_discovered_by_file_name() -> None:
    files = {module.name for module in pkgutil.iter_modules(faults.__path__)}
    assert set(fault_names()) == files
    assert files >= {"buffered_body", "single_process", "connection_close"}


def test_unknown_fault_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        load_fault("no_such_fault")


@pytest.mark.parametrize("name", fault_names())
def test_fault_declares_what_it_is(name: str) -> None:
    fault = load_fault(name)
    assert fault.true_findings
    assert fault.false_findings
    assert not set(fault.true_findings) & set(fault.false_findings)
    for finding in (*fault.true_findings, *fault.false_findings):
        assert re.fullmatch(r"[a-z][a-z_]+", finding)
    assert "What a user sees:" in fault.description


@pytest.mark.parametrize("name", fault_names())
def test_fault_changes_the_entry_and_leaves_the_healthy_one(name: str) -> None:
    before = healthy_entry(workers=2)
    changed = load_fault(name).apply(before)
    assert isinstance(changed, Entry)
    assert changed != before
    assert before == HEALTHY


def test_replaced_route_leaves_the_others() -> None:
    def handler(request: Request) -> Response:
        return Response(b"other")

    changed = replace_route(HEALTHY, b"POST", b"/baseline11", Route(handler))
    assert changed.routes[b"/baseline11"][b"POST"].handler is handler
    assert changed.routes[b"/baseline11"][b"GET"] is HEALTHY.routes[b"/baseline11"][b"GET"]
    assert changed.routes[b"/upload"] is HEALTHY.routes[b"/upload"]


def test_buffered_body_keeps_what_the_healthy_one_drops() -> None:
    kept = BufferedBody()
    kept.feed(b"abc")
    kept.feed(b"de")
    assert kept.pieces == [b"abc", b"de"]
    assert kept.received == 5
    body = Body()
    body.feed(b"abc")
    assert body.content() == b""


def test_single_process_has_one_worker_whatever_was_asked_for() -> None:
    changed = load_fault("single_process").apply(healthy_entry(workers=64))
    assert changed.workers == 1
    assert not changed.supervised
