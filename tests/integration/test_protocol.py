"""Faults of the protocol, each named on a server that has it, and on it alone."""

from __future__ import annotations

import shlex

import pytest

from reference_server.faults import load_fault
from tests.integration.conftest import Diagnose, reference

pytestmark = pytest.mark.integration
# Decided by how long answers take, or by which connections are served at all.
TIMED = pytest.mark.alone

PROTOCOL = {
    *("answered_before_body", "chunked_ignored", "connection_cap", "content_type_dependent"),
    *("delayed_ack", "fd_exhausted", "keepalive_capped", "length_not_read"),
    "pipelining_serialized",
}


@pytest.mark.parametrize(
    ("name", "proof"),
    [
        ("answered_before_body", "response"),
        ("chunked_ignored", "chunked_response"),
        pytest.param("connection_cap", "served_connections", marks=TIMED),
        pytest.param("delayed_ack", "quick_ack_get", marks=TIMED),
        ("keepalive_capped", "responses_at_close"),
        pytest.param("pipelining_serialized", "one_more_request", marks=TIMED),
    ],
)
def test_fault_is_named(diagnose: Diagnose, name: str, proof: str) -> None:
    fault = load_fault(name)
    options = ("-c", str(fault.connections), "-d", "2", *fault.run_options)
    outcome = diagnose.run(fault.scenario, reference("--fault", name), *options)
    finding = outcome.finding(name)
    assert finding["verdict"] == "found", finding
    assert proof in {row["metric"] for row in finding["evidence"]}
    # Nothing else of the protocol is blamed.
    assert outcome.found & PROTOCOL <= {*fault.true_findings, *fault.possible_findings}
    assert not outcome.found & set(fault.false_findings)


@TIMED
def test_a_healthy_server_has_none(diagnose: Diagnose) -> None:
    outcome = diagnose.run("baseline", reference(), "-c", "64", "-d", "2")
    verdicts = {item["id"]: item["verdict"] for item in outcome.run["findings"]}
    clear = PROTOCOL - {"length_not_read"}
    assert {name: verdicts[name] for name in clear} == dict.fromkeys(clear, "clear")
    assert verdicts["length_not_read"] == "unknown"


def test_a_limit_of_descriptors(diagnose: Diagnose) -> None:
    # The warden and diagnose keep their own limit: only the server's is lowered.
    server = shlex.join(reference("--workers", "1")).replace("'$PORT'", "$PORT")
    command = ["sh", "-c", f"ulimit -n 64; exec {server}"]
    outcome = diagnose.run("baseline", command, "-c", "128", "-d", "2", "--timeout", "3")
    assert "fd_exhausted" in outcome.found, outcome.run["findings"]
    assert "connection_cap" not in outcome.found
    rows = {row["metric"]: row for row in outcome.finding("fd_exhausted")["evidence"]}
    assert rows["descriptors"]["threshold"] == 64
    assert rows["descriptors"]["value"] > 56
