"""The faults: each file here is the healthy entry with one thing changed.

The name of the file is the name on the command line. A fault has a docstring that says what is
wrong and what a user sees, and these names:

    SCENARIO         the scenario in which it shows
    CONNECTIONS      the number of connections for it
    TRUE_FINDINGS    the findings that one `diagnose run` of that scenario should report
    FALSE_FINDINGS   findings that look alike and would be wrong
    apply(entry)     returns the entry with the fault

and, where they are needed:

    POSSIBLE_FINDINGS   true of it too, but one run need not show them
    RUN_OPTIONS         further options for `diagnose run`

To add one, add a file: usually it is `dataclasses.replace(entry, ...)` around a changed number,
a wrapped handler (`replace_route`, `wrap_handlers`), another `Body`, or a subclass of
`Connection`. What several faults share is in the files whose names begin with an underscore.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from reference_server.entry import Entry
from reference_server.messages import Handler, Request, Response, Route, Upgrade

# What a handler returns.
Answer = Response | Upgrade | Awaitable[Response]


class FaultModule(Protocol):
    """What a file in this package has to define."""

    SCENARIO: str
    CONNECTIONS: int
    TRUE_FINDINGS: tuple[str, ...]
    FALSE_FINDINGS: tuple[str, ...]

    def apply(self, entry: Entry) -> Entry:
        """The entry with this fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, as its file declares it; `description` is the file's docstring."""

    name: str
    description: str
    scenario: str
    connections: int
    true_findings: tuple[str, ...]
    possible_findings: tuple[str, ...]
    false_findings: tuple[str, ...]
    run_options: tuple[str, ...]
    module: FaultModule

    def apply(self, entry: Entry) -> Entry:
        """The entry with this fault."""
        return self.module.apply(entry)


def fault_names() -> list[str]:
    """The names of all faults, in alphabetical order."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if not name.startswith("_"))


def load_fault(name: str) -> Fault:
    """Raises: ModuleNotFoundError when no fault has this name."""
    module = cast("FaultModule", importlib.import_module(f"{__name__}.{name}"))
    return Fault(
        name=name,
        description=(module.__doc__ or "").strip(),
        scenario=module.SCENARIO,
        connections=module.CONNECTIONS,
        true_findings=module.TRUE_FINDINGS,
        possible_findings=getattr(module, "POSSIBLE_FINDINGS", ()),
        false_findings=module.FALSE_FINDINGS,
        run_options=getattr(module, "RUN_OPTIONS", ()),
        module=module,
    )


def replace_route(entry: Entry, method: bytes, path: bytes, route: Route) -> Entry:
    """The entry with another route for one method of one path."""
    methods: Mapping[bytes, Route] = {**entry.routes[path], method: route}
    return dataclasses.replace(entry, routes={**entry.routes, path: methods})


def wrap_handlers(
    entry: Entry, wrap: Callable[[Handler], Handler], *methods: bytes, path: bytes = b""
) -> Entry:
    """The entry with every handler wrapped, or those of some methods, or those of one path."""
    routes = {
        each: {
            method: dataclasses.replace(route, handler=wrap(route.handler))
            if (not methods or method in methods) and path in (b"", each)
            else route
            for method, route in table.items()
        }
        for each, table in entry.routes.items()
    }
    return dataclasses.replace(entry, routes=routes)


def complete(answer: Answer) -> Response:
    """The answer of a handler that only computes."""
    if not isinstance(answer, Response):
        raise TypeError(f"{answer!r} is not a complete response")
    return answer


async def finished(handler: Handler, request: Request) -> Response:
    """The answer of a handler, waited for if it has to be."""
    answer = handler(request)
    return await answer if inspect.isawaitable(answer) else complete(answer)
