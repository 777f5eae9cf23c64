"""Every check over HTTP/1.1 on a server that keeps the contract, but for one fault at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from diagnose.load.validation import runner
from diagnose.load.validation.check import Target, Way
from diagnose.load.validation.runner import Prober
from diagnose.load.validation.suite import contract_checks
from diagnose.model.validation import CheckResult, Outcome
from diagnose.scenario.catalog import shipped
from tests.contract_server import FAULTS, ContractServer
from tests.load.lines import FakeLine, pass_time

# No process and no socket, but half a second of work for each fault: too slow for the unit tests.
pytestmark = pytest.mark.integration

# The largest bodies take their time, and show nothing that smaller ones do not.
LARGE = ("upload/2-mib", "upload/10-mib", "upload/20-mib")
CHECKS = [
    check
    for check in contract_checks(shipped()["static"].templates)
    if check.way is Way.HTTP and check.id not in LARGE
]
TARGET = Target("127.0.0.1", {Way.HTTP: 8080})


class ContractLine(FakeLine):
    """A line to the contract server."""

    contract: ContractServer

    def __init__(self, *arguments: object) -> None:
        super().__init__()
        self.connection = self.contract.connection()

    def send(self, data: bytes | memoryview) -> int:
        if self.connection.over:
            raise BrokenPipeError(32, "Broken pipe")
        self.sent.append(bytes(data))
        self._say(self.connection.receive(bytes(data)))
        return len(data)

    def finish(self) -> None:
        self._say(self.connection.end())

    def _say(self, data: bytes) -> None:
        self.waiting += [data] if data else []
        self.waiting += [None] if self.connection.over else []


@pytest.fixture(autouse=True)
def _lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch)
    monkeypatch.setattr(runner, "Line", ContractLine)


def ask(monkeypatch: pytest.MonkeyPatch, *faults: str) -> dict[str, CheckResult]:
    """The results of all checks by id."""
    monkeypatch.setattr(ContractLine, "contract", ContractServer(*faults), raising=False)
    prober = Prober(TARGET, 5.0, random.Random(7))
    results = {}
    for check in CHECKS:
        results[check.id] = prober.run(check)
        assert all(line.closed for line in FakeLine.lines)
        FakeLine.lines.clear()
    return results


def differing(results: Mapping[str, CheckResult]) -> dict[str, str]:
    """Outcomes that are not `pass`, by id."""
    return {
        name: result.outcome.value
        for name, result in results.items()
        if result.outcome is not Outcome.PASS
    }


def test_a_server_that_keeps_the_contract_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    results = ask(monkeypatch)
    assert differing(results) == {}
    assert len(results) == len(CHECKS) > 50


POSTS = {
    *("baseline/post-with-content-length", "baseline/post-chunked"),
    *("baseline/post-in-two-chunks", "baseline/two-different-bodies-in-a-row"),
    *("baseline/the-same-with-and-without-content-type",),
    *("baseline/two-requests-on-one-connection", "baseline/fragmented-inside-the-request-line"),
    *("baseline/fragmented-before-the-headers-end", "baseline/fragmented-inside-a-chunk"),
    *("baseline/fragmented-between-headers-and-body", "baseline/fragmented-inside-the-body"),
}
SUMS = {
    *(*POSTS, "baseline/get", "baseline/16-pipelined-answered-in-order"),
    *("baseline2/get-over-http-1-1", "noisy/get-after-a-missing-body-and-random-bytes"),
}
UPLOADS = {check.id for check in CHECKS if check.group == "upload"}
CHUNKED = {
    "baseline/post-chunked",
    "baseline/post-in-two-chunks",
    "baseline/fragmented-inside-a-chunk",
}
KEPT = {check.id for check in CHECKS if "on-one-connection" in check.id} | {
    *("baseline/16-pipelined-answered-in-order", "pipelined/16-at-once"),
}
TYPED = {
    "baseline/the-same-with-and-without-content-type",
    "upload/the-same-with-and-without-content-type",
}
JSON_TYPES = {check.id for check in CHECKS if check.id.endswith("exact-content-type")}
COUNTED = {check.id for check in CHECKS if check.group in ("json@2026-04", "json-comp")}
WARNED = "baseline/query-and-body-that-are-no-numbers"

# Fault -> the checks that must fail, and no other.
FAILING: dict[str, set[str]] = {
    "caches_bodies": {"baseline/two-different-bodies-in-a-row"},
    "ignores_chunked": CHUNKED | {"upload/chunked-1-mib"},
    "echoes_length": {"upload/bytes-read-not-bytes-announced"},
    "answers_early": {
        *("upload/not-answered-before-the-body-is-there", "upload/fragmented-inside-the-body"),
        *("upload/bytes-read-not-bytes-announced", "upload/expect-100-continue"),
        # Sent in one piece with its head: only what is split shows it.
    },
    "answers_unknown": {"baseline/unknown-path", "static/unknown-file"},
    "needs_type": POSTS | UPLOADS - {"upload/bytes-read-not-bytes-announced"},
    "takes_forms_apart": TYPED,
    "breaks_split_heads": {
        "baseline/fragmented-inside-the-request-line",
        "baseline/fragmented-before-the-headers-end",
    },
    "drops_split_bodies": {
        "baseline/fragmented-between-headers-and-body",
        "baseline/fragmented-inside-the-body",
    },
    "closes": KEPT,
    "answers_in_reverse": {
        "baseline/16-pipelined-answered-in-order",
        "echo-ws/16-messages-at-once-in-order",
    },
    "constant_sum": SUMS,
    "adds_charset": JSON_TYPES,
    "ignores_multiplier": COUNTED - JSON_TYPES - {"json-comp/smaller-where-accepted"},
    "always_gzip": {
        *("json-comp/br-alone", "json-comp/no-encoding-where-not-asked-for"),
        *("json-comp/smaller-where-accepted", "compression/no-encoding-where-not-asked-for"),
    },
    "never_compresses": {
        *("json-comp/gzip-or-br-with-totals", "json-comp/smaller-where-accepted"),
        *("compression/gzip-totals-under-500-kb", "compression/two-requests-on-one-connection"),
    },
    "ignores_range": {
        *("db/any-other-range", "db/an-empty-range-gives-count-0"),
        *("async-db/any-other-range", "async-db/an-empty-range-gives-count-0"),
    },
    "keeps_rows": {"db/prices-10-to-50"},
    "wrong_types": {
        *("static/20-files-type-not-empty", "static/the-same-bytes-again-and-with-gzip-or-br"),
    },
    "other_file_as_gzip": {"static/the-same-bytes-again-and-with-gzip-or-br"},
    "echoes_fragments": {"echo-ws/a-message-in-three-fragments"},
    "no_continue": set(),
    "takes_any_method": {"baseline/unknown-method"},
    "breaks_on_bad_numbers": set(),
    "broken_by_noise": {"noisy/get-after-a-missing-body-and-random-bytes"},
    # All but what passes whatever comes, and what is a warning.
    "answers_twice": {check.id for check in CHECKS if check.group != "echo-ws"}
    - {"upload/bytes-read-not-bytes-announced", WARNED},
}
# Fault -> the checks that must warn; where a fault is not named, none.
WARNING = {
    "no_continue": {"upload/expect-100-continue"},
    "breaks_on_bad_numbers": {WARNED},
    "never_compresses": {"json-comp/gzip-alone", "json-comp/br-alone"},
    "answers_twice": {WARNED},
    "constant_sum": {WARNED},
    "keeps_rows": {"async-db/prices-10-to-50-limits-5-to-50"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_exactly_its_checks(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    seen = differing(ask(monkeypatch, fault))
    assert {name for name, outcome in seen.items() if outcome != "warn"} == FAILING[fault]
    assert {name for name, outcome in seen.items() if outcome == "warn"} == WARNING.get(
        fault, set()
    )
