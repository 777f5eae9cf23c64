"""What the benchmark's endpoints must answer."""

from __future__ import annotations

import pytest

from diagnose.model.scenario import Answer, Expectation
from diagnose.scenario.contract import anything, expectation

SUM = Expectation(sum=True, content_type="text/plain")
CASES = {
    "pipeline": ("GET", "/pipeline", 0, Expectation(body="ok", content_type="text/plain")),
    "sum_of_a_query": ("GET", "/baseline11?a=13&b=42", 0, SUM),
    "sum_of_query_and_body": ("POST", "/baseline11?a=13&b=42", 2, SUM),
    "sum_over_http_2": ("GET", "/baseline2?a=1&b=2", 0, SUM),
    "sum_of_nothing": ("GET", "/baseline11", 0, SUM),
    "json_of_march": (
        *("GET", "/json", 0),
        Expectation(content_type="application/json", items=50, decimals=2),
    ),
    "json_of_april": (
        *("GET", "/json/25?m=4", 0),
        Expectation(content_type="application/json", items=25, multiplier=4),
    ),
    "json_with_m_behind_another": (
        *("GET", "/json/5?x=1&m=7&y=2", 0),
        Expectation(content_type="application/json", items=5, multiplier=7),
    ),
    "json_without_m": (
        *("GET", "/json/5?um=7", 0),
        Expectation(content_type="application/json", items=5),
    ),
    "upload": ("POST", "/upload", 512000, Expectation(body="512000")),
    "upload_of_nothing": ("POST", "/upload", 0, Expectation(body="0")),
    "upload_by_another_method": ("GET", "/upload", 0, Expectation()),
    "json_of_no_number": ("GET", "/json/x", 0, Expectation()),
    "json_of_a_longer_path": ("GET", "/json/5/6", 0, Expectation()),
    "item": ("GET", "/crud/items/7", 0, Expectation(content_type="application/json")),
    "page_of_items": (
        *("GET", "/crud/items?category=toys", 0),
        Expectation(content_type="application/json"),
    ),
    "new_item": ("POST", "/crud/items", 77, Expectation(status=(201,))),
    "changed_item": ("PUT", "/crud/items/7", 20, Expectation()),
    "unknown": ("GET", "/unknown-path", 0, Expectation()),
    "root": ("GET", "/", 0, Expectation()),
    "path_in_the_query": ("GET", "/x?y=/pipeline", 0, Expectation()),
    "path_that_only_begins_so": ("GET", "/pipelines", 0, Expectation()),
}


@pytest.mark.parametrize(("method", "target", "length", "expect"), CASES.values(), ids=CASES.keys())
def test_expectation(method: str, target: str, length: int, expect: Expectation) -> None:
    assert expectation(method, target, length) == expect


def test_anything() -> None:
    assert anything() == Expectation(answer=Answer.ANY)
