"""The file with the dataset is read and parsed again for each request.

It holds 1,000 items, of which 50 are answered; the totals, which are to be computed per request,
are a small part of the work.

What a user sees: JSON answers at a fraction of the rate, the cores busy with parsing what was
parsed for the request before, and the same answer byte for byte.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from reference_server.dataset import Item, make_items
from reference_server.endpoints import rounded_items
from reference_server.entry import Entry
from reference_server.faults import replace_route
from reference_server.made_once import cache_directory, made_once
from reference_server.messages import JSON, Request, Response, Route

SCENARIO = "json@2026-03"
CONNECTIONS = 64
TRUE_FINDINGS = ("recompute_per_request",)
# What is parsed is garbage a moment later.
POSSIBLE_FINDINGS = ("gc_pressure", "slower_than_reference")
FALSE_FINDINGS = (
    "compression_too_high",
    "downstream_wait",
    "exception_storm",
    "low_cpu",
    "single_threaded",
    "syscall_heavy",
)

FILE_ITEMS = 1_000
ANSWERED_ITEMS = 50


def write_dataset(path: Path) -> None:
    """Makes the file: the items are those of the healthy entry, and more behind them."""
    path.write_text(json.dumps(make_items(FILE_ITEMS)))


@functools.cache
def dataset_path() -> Path:
    """The file, made if this is its first use."""
    return made_once(cache_directory() / "dataset-1000.json", write_dataset)


def read_dataset(path: Path) -> list[Item]:
    """All that the file holds."""
    items: list[Item] = json.loads(path.read_text())
    return items


def recomputed(request: Request) -> Response:
    """The items with totals in cents, from the file on."""
    return Response(rounded_items(read_dataset(dataset_path())[:ANSWERED_ITEMS]), JSON)


def apply(entry: Entry) -> Entry:
    """The entry that keeps nothing between requests."""
    return replace_route(entry, b"GET", b"/json", Route(recomputed))
