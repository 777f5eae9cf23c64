"""Prints the table of docs/gallery.md: `python -m reference_server.faults`."""

from __future__ import annotations

from collections.abc import Iterator

from reference_server.faults import Fault, fault_names, load_fault

HEAD = (
    "| fault | what is wrong | run | true of it | may be found | would be wrong |",
    "|---|---|---|---|---|---|",
)


def table() -> Iterator[str]:
    """A line of Markdown for each fault, below two of the head."""
    yield from HEAD
    for name in fault_names():
        yield row(load_fault(name))


def row(fault: Fault) -> str:
    """One fault as a line of the table."""
    run = " ".join([fault.scenario, f"-c {fault.connections}", *fault.run_options])
    cells = [
        f"`{fault.name}`",
        fault.description.splitlines()[0],
        f"`{run}`",
        *(
            " ".join(f"`{each}`" for each in findings)
            for findings in (fault.true_findings, fault.possible_findings, fault.false_findings)
        ),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(table()))
