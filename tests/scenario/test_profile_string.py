"""Profile strings of the benchmark: every field, right and wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.errors import UsageError
from diagnose.model.scenario import RequestTemplate, Scenario
from diagnose.scenario.catalog import find_scenario
from diagnose.scenario.profile_string import ENDPOINTS, apply, endpoint, is_profile_string
from tests.builders import UPLOADS, make_scenario

BASE = make_scenario(connections=(7,), pipeline=3, requests_per_connection=9, server_cores=2)


def refused(text: str, scenario: Scenario = BASE) -> str:
    with pytest.raises(UsageError) as caught:
        apply(text, scenario)
    message = str(caught.value)
    assert repr(text) in message
    return message


def test_it_has_bars() -> None:
    assert is_profile_string("1|10||512,4096|")
    assert is_profile_string("|")
    assert not is_profile_string("baseline@2026-03")


@pytest.mark.parametrize(("word", "name"), ENDPOINTS.items(), ids=repr)
def test_every_endpoint_is_a_scenario(word: str, name: str) -> None:
    assert endpoint(f"1|0||512|{word}") == name
    assert find_scenario(name).name.partition("@")[0] == name


@pytest.mark.parametrize("word", ["nope", "JSON", "json@2026-03", "1"])
def test_an_unknown_endpoint_lists_what_is_known(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        endpoint(f"1|0||512|{word}")
    assert f"no endpoint {word!r}" in str(caught.value)
    assert "'json-comp'" in str(caught.value)


def test_all_figures() -> None:
    seen = apply("16|25|4|512,4096|", BASE)
    assert (seen.pipeline, seen.requests_per_connection) == (16, 25)
    assert (seen.server_cores, seen.connections) == (4, (512, 4096))


@pytest.mark.parametrize("text", ["||||", " | | | | ", "1|0|0||"])
def test_empty_fields(text: str) -> None:
    """One in flight, never closed, no CPU limit: not the scenario's; the counts are its own."""
    seen = apply(text, BASE)
    assert (seen.pipeline, seen.requests_per_connection, seen.server_cores) == (1, 0, 0)
    assert seen.connections == BASE.connections


def test_nothing_else_changes() -> None:
    seen = apply("1|10||512|json", BASE)
    assert (seen.templates, seen.name, seen.duration_s) == (
        *(BASE.templates, BASE.name),
        BASE.duration_s,
    )


def test_the_string_of_limited_conn() -> None:
    text = "1|10||512,4096|"
    seen = apply(text, find_scenario(endpoint(text)))
    known = find_scenario("limited-conn")
    assert seen.templates == known.templates
    assert (seen.connections, seen.pipeline) == (known.connections, known.pipeline)
    assert seen.requests_per_connection == known.requests_per_connection


@pytest.mark.parametrize("text", ["|", "1|10|512|", "1|10||512||", "1|0||512|json|"])
def test_the_number_of_fields(text: str) -> None:
    message = refused(text)
    assert f"has {text.count('|') + 1} fields, not 5" in message
    assert "'1|10||512,4096|'" in message
    with pytest.raises(UsageError, match="fields, not 5"):
        endpoint(text)


WRONG = {
    "pipeline_zero": ("0|0||512|", "pipeline must be a number from 1, not '0'"),
    "pipeline_word": ("x|0||512|", "pipeline must be a number"),
    "pipeline_negative": ("-1|0||512|", "pipeline must be a number"),
    "pipeline_fraction": ("1.5|0||512|", "pipeline must be a number"),
    "pipeline_other_digits": ("\u0663|0||512|", "pipeline must be a number"),
    "pipeline_square": ("\u00b2|0||512|", "pipeline must be a number"),
    "requests_word": ("1|r||512|", "requests per connection must be a number from 0"),
    "requests_negative": ("1|-1||512|", "requests per connection must be a number"),
    "cpus_list": ("1|0|0-3|512|", "CPU limit must be a number from 0, not '0-3'"),
    "connections_zero": ("1|0||0|", "connections must be a number from 1, not '0'"),
    "connections_word": ("1|0||512,x|", "connections must be a number from 1, not 'x'"),
    "connections_space": ("1|0||512 4096|", "connections must be a number"),
    "pipeline_of_5000_digits": (f"{'1' * 5000}|0||512|", "pipeline must be a number"),
}


@pytest.mark.parametrize(("text", "what"), WRONG.values(), ids=WRONG.keys())
def test_fields_that_are_wrong(text: str, what: str) -> None:
    assert what in refused(text)


def test_uploads_are_not_pipelined() -> None:
    assert "uploads are not pipelined" in refused("2|0||64|upload", UPLOADS)
    assert apply("1|0||64|upload", UPLOADS).pipeline == 1


def test_no_generated_body_is_pipelined() -> None:
    """As in a file: the engine sends such bodies one at a time, whatever the profile says."""
    some = make_scenario(
        templates=(*BASE.templates, RequestTemplate("u", "POST", "/", body_length=1 << 20))
    )
    refused("16|0||64|mixed", some)


@settings(deadline=None, max_examples=80)
@given(st.text("0123456789|,- ax\u0663", max_size=20))
def test_any_text_is_taken_or_refused(text: str) -> None:
    seen: Scenario | None = None
    with suppress(UsageError):
        seen = apply(text, BASE)
    if seen is not None:
        assert text.count("|") == 4
        assert seen.pipeline >= 1
        assert all(count >= 1 for count in seen.connections)
