"""The published JSON Schema holds for what is printed, and refuses what is not."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from diagnose.analysis.figures import Figures
from diagnose.model.run import Run
from diagnose.reports.json import SCHEMA, render, schema
from tests.analysis.test_repeats import at
from tests.reports.screens import MARKUP, analyzed, everywhere
from tests.reports.test_json import RUNS

VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema()))
DOCS = Path(__file__).parents[2] / "docs" / "json.md"


def broken(document: Any) -> list[str]:
    """What is wrong with a document."""
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema()))
    assert json.loads(schema())["properties"]["schema"] == {"const": SCHEMA}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_every_document_keeps_it(run: Run) -> None:
    assert broken(json.loads(render([analyzed(run)]))) == []


def test_hostile_text_and_repeats_keep_it() -> None:
    assert broken(json.loads(render([everywhere(MARKUP)]))) == []
    document = json.loads(render([at(5000), at(5500), at(4000, valid=False)]))
    assert document["repeats"][0]["best_rps"] == 1100
    assert broken(document) == []


def test_new_fields_may_come() -> None:
    document = json.loads(render([at(5000)]))
    document["runs"][0]["findings"].append(
        {
            **{"id": "x", "kind": "cause", "verdict": "found", "confidence": 0.5, "claim": "c"},
            **{"evidence": [], "next_step": "", "something_new": 1},
        }
    )
    assert broken(document) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("state", "done"), ("connections", 0), ("figures", {}), ("findings", [{"id": "x"}])],
)
def test_what_is_wrong_is_refused(field: str, value: object) -> None:
    document = json.loads(render([at(5000)]))
    document["runs"][0][field] = value
    assert broken(document)


def test_every_figure_is_in_it_and_in_the_docs() -> None:
    names = {field.name for field in dataclasses.fields(Figures)}
    told = json.loads(schema())["$defs"]["run"]["properties"]["figures"]
    assert set(told["properties"]) == set(told["required"]) == names
    page = DOCS.read_text(encoding="utf-8")
    assert names <= set(re.findall(r'"(\w+)"', page))
