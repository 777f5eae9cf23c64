"""Every file among the faults is found, declares what it should, and changes the entry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reference_server import faults
from reference_server.entry import Entry, healthy_entry
from reference_server.faults import fault_names, load_fault, replace_route, wrap_handlers
from reference_server.faults.__main__ import table
from reference_server.messages import Handler, Request, Response, Route
from scenarios import __path__ as scenario_path

HEALTHY = healthy_entry(workers=2)
SCENARIOS = {
    name
    for file in Path(next(iter(scenario_path))).glob("*.toml")
    for name in (file.stem, file.stem.partition("@")[0])
}


def test_faults_are_discovered_by_file_name() -> None:
    files = {file.stem for file in Path(next(iter(faults.__path__))).glob("[a-z]*.py")}
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
    every = (*fault.true_findings, *fault.possible_findings, *fault.false_findings)
    assert len(set(every)) == len(every)
    for finding in every:
        assert re.fullmatch(r"[a-z][a-z_]+", finding)
    assert fault.scenario in SCENARIOS
    assert fault.connections > 0
    assert len(fault.run_options) % 2 == 0
    assert "What a user sees:" in fault.description
    # Lists show the first line.
    assert fault.description.splitlines()[0].endswith(".")


@pytest.mark.parametrize("name", fault_names())
def test_fault_changes_the_entry_and_leaves_the_healthy_one(name: str) -> None:
    before = healthy_entry(workers=2)
    changed = load_fault(name).apply(before)
    assert isinstance(changed, Entry)
    assert changed != before
    assert before == HEALTHY


def other(request: Request) -> Response:
    return Response(b"other")


def test_replaced_route_leaves_the_others() -> None:
    changed = replace_route(HEALTHY, b"POST", b"/baseline11", Route(other))
    assert changed.routes[b"/baseline11"][b"POST"].handler is other
    assert changed.routes[b"/baseline11"][b"GET"] is HEALTHY.routes[b"/baseline11"][b"GET"]
    assert changed.routes[b"/upload"] is HEALTHY.routes[b"/upload"]


def test_wrapped_handlers_are_those_of_the_method_and_the_path() -> None:
    def wrap(handler: Handler) -> Handler:
        return other

    every = wrap_handlers(HEALTHY, wrap).routes
    assert {route.handler for table in every.values() for route in table.values()} == {other}
    posts = wrap_handlers(HEALTHY, wrap, b"POST").routes
    assert posts[b"/baseline11"][b"POST"].handler is other
    assert posts[b"/baseline11"][b"POST"].body is HEALTHY.routes[b"/baseline11"][b"POST"].body
    assert posts[b"/baseline11"][b"GET"] == HEALTHY.routes[b"/baseline11"][b"GET"]
    one = wrap_handlers(HEALTHY, wrap, path=b"/json").routes
    assert one[b"/json"][b"GET"].handler is other
    assert one[b"/json/"] == HEALTHY.routes[b"/json/"]


def test_the_page_of_the_gallery_has_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gallery.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("|")] == list(table())
