"""What options mean: counts, sizes, adapted scenarios, addresses."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diagnose.cli.options import (
    adapt,
    check_names,
    check_target,
    chosen_scenario,
    names_scenario,
    parse_counts,
    parse_cpu_option,
    parse_size,
)
from diagnose.errors import UsageError
from diagnose.model.scenario import Sending
from tests.builders import GIB, MIB, UPLOADS, make_scenario


class TestCounts:
    """`-c 64,256`."""

    @pytest.mark.parametrize(
        ("text", "counts"),
        [
            pytest.param("64", [64], id="one"),
            pytest.param("64,256", [64, 256], id="two"),
            pytest.param("256, 64", [256, 64], id="as they were given"),
            pytest.param("1", [1], id="fewest"),
            pytest.param("60000", [60_000], id="most"),
        ],
    )
    def test_are_numbers_with_commas(self, text: str, counts: list[int]) -> None:
        assert parse_counts(text, make_scenario()) == counts

    def test_are_the_scenarios_first_where_none_is_given(self) -> None:
        assert parse_counts(None, make_scenario(connections=(512, 4096))) == [512]

    @pytest.mark.parametrize("text", ["", "x", "64;256", "64,,256", "64,", "1e3", "64.0"])
    def test_that_are_no_numbers_are_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="-c takes numbers like 64 or 64,256"):
            parse_counts(text, make_scenario())

    @pytest.mark.parametrize("text", ["0", "-1", "60001", "64,0"])
    def test_out_of_range_are_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="1 to 60000 connections"):
            parse_counts(text, make_scenario())


class TestSize:
    """`--memory-limit 4G`."""

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("1048576", MIB),
            ("512M", 512 * MIB),
            ("512m", 512 * MIB),
            ("4G", 4 * GIB),
            ("4GiB", 4 * GIB),
            ("1.5GiB", GIB * 3 // 2),
            (" 2 K ", 2048),
            ("1T", 1024 * GIB),
            ("4GB", 4_000_000_000),
            ("1.5mb", 1_500_000),
            ("10B", 10),
        ],
    )
    def test_is_bytes_with_a_unit(self, text: str, size: int) -> None:
        assert parse_size(text) == size

    def test_is_nothing_where_none_is_given(self) -> None:
        assert parse_size(None) is None

    @pytest.mark.parametrize(
        "text", ["", "G", "-1", "0", "0.5", "0G", "1,5G", "4X", "4GG", "nan", "1e9"]
    )
    def test_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="not a size"):
            parse_size(text)


class TestAdapt:
    """The scenario with the user's own figures."""

    @pytest.mark.parametrize(
        ("option", "field", "value"),
        [
            ("duration", "duration_s", 0.5),
            ("duration", "duration_s", 3600.0),
            ("warmup", "warmup_s", 0.0),
            ("timeout", "timeout_s", 3.0),
            ("pipeline", "pipeline", 1024),
            ("requests", "requests_per_connection", 0),
            ("requests", "requests_per_connection", 25),
            ("rate", "rate", 1000.0),
            ("ramp", "ramp_s", 2.5),
        ],
    )
    def test_changes_one_field(self, option: str, field: str, value: Any) -> None:
        base = make_scenario(requests_per_connection=5, rate=7.0, ramp_s=1.0)
        changed = adapt(base, **{option: value})
        assert getattr(changed, field) == value
        assert adapt(changed, **{option: getattr(base, field)}) == base

    def test_rates_are_sizes_per_second(self) -> None:
        changed = adapt(make_scenario(), send_rate="64K", read_rate="1.5M")
        assert (changed.send_rate, changed.read_rate) == (64 * 1024, 3 * MIB // 2)
        assert adapt(changed) == changed

    def test_changes_nothing_where_nothing_is_given(self) -> None:
        assert adapt(UPLOADS) == UPLOADS

    def test_sends_every_request_to_the_path(self) -> None:
        changed = adapt(make_scenario(templates=UPLOADS.templates * 2), path="/other?x=%20")
        assert [template.target for template in changed.templates] == ["/other?x=%20"] * 2

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"duration": 0.0}, "-d takes"),
            ({"duration": -1.0}, "-d takes"),
            ({"duration": 3601.0}, "-d takes"),
            ({"duration": float("nan")}, "-d takes"),
            ({"duration": float("inf")}, "-d takes"),
            ({"warmup": -0.1}, "--warmup takes"),
            ({"warmup": float("nan")}, "--warmup takes"),
            ({"timeout": 0.0}, "--timeout takes"),
            ({"pipeline": 0}, "-p takes"),
            ({"pipeline": 1025}, "-p takes"),
            ({"requests": -1}, "-r takes"),
            ({"rate": 0.0}, "--rate takes"),
            ({"rate": -5.0}, "--rate takes"),
            ({"rate": 1e8}, "--rate takes"),
            ({"rate": float("nan")}, "--rate takes"),
            ({"ramp": -1.0}, "--ramp takes"),
            ({"ramp": 3601.0}, "--ramp takes"),
            ({"ramp": float("nan")}, "--ramp takes"),
            ({"send_rate": "0"}, "not a size"),
            ({"read_rate": "fast"}, "not a size"),
            ({"path": "other"}, "--path must start"),
            ({"path": ""}, "--path must start"),
            ({"path": "/a b"}, "--path must start"),
            ({"path": "/a\r\nX: y"}, "--path must start"),
            ({"path": "/é"}, "--path must start"),
        ],
        ids=lambda value: repr(value) if isinstance(value, dict) else "",
    )
    def test_refuses_what_cannot_be(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            adapt(make_scenario(), **options)

    def test_uploads_are_not_pipelined(self) -> None:
        with pytest.raises(UsageError, match="uploads are not pipelined"):
            adapt(UPLOADS, pipeline=2)
        assert adapt(UPLOADS, pipeline=1).pipeline == 1

    def test_what_is_not_sent_whole_is_not_pipelined(self) -> None:
        """As in a file: the rest never follows, and what is sent behind it is taken for it."""
        half = replace(make_scenario().templates[0], body="0123456789", sending=Sending.HALF)
        with pytest.raises(UsageError):
            adapt(make_scenario(templates=(half,)), pipeline=2)
        assert adapt(make_scenario(templates=(half,)), pipeline=1).pipeline == 1


class TestScenario:
    """A scenario by name, by file, by profile string, by raw templates."""

    @pytest.fixture
    def raw(self, tmp_path: Path) -> str:
        """A file with a request."""
        path = tmp_path / "mine.raw"
        path.write_bytes(b"GET /mine HTTP/1.1\r\n\r\n")
        return str(path)

    @pytest.mark.parametrize(
        "word",
        ["baseline", "baseline@2026-03", "json@x", "get", "./mine.toml", "1|10||512|", "|"],
    )
    def test_words_that_mean_one(self, word: str) -> None:
        assert names_scenario(word)

    @pytest.mark.parametrize("word", ["./server", "python", "basline", "baseline.sh", "@2026-03"])
    def test_words_that_mean_none(self, word: str) -> None:
        assert not names_scenario(word)

    def test_by_name(self) -> None:
        assert chosen_scenario("json@2026-03", None).name == "json@2026-03"

    def test_by_profile_string(self) -> None:
        scenario = chosen_scenario("1|10||512,4096|", None)
        assert (scenario.name, scenario.requests_per_connection) == ("baseline@2026-04", 10)
        assert scenario.connections == (512, 4096)
        assert chosen_scenario("16|0||64|pipeline", None).templates[0].target == "/pipeline"

    def test_by_raw_templates_alone(self, raw: str) -> None:
        scenario = chosen_scenario("", raw)
        assert (scenario.name, scenario.templates[0].target) == ("raw", "/mine")

    def test_raw_templates_in_place_of_a_scenarios_own(self, raw: str) -> None:
        scenario = chosen_scenario("json@2026-04", raw)
        assert [template.target for template in scenario.templates] == ["/mine"]
        assert scenario.title == "raw templates: mine"
        assert (scenario.name, scenario.requests_per_connection) == ("json@2026-04", 25)

    def test_raw_templates_with_a_profile_string(self, raw: str) -> None:
        scenario = chosen_scenario("16|5|4|32|nope", raw)
        assert [template.target for template in scenario.templates] == ["/mine"]
        assert (scenario.pipeline, scenario.requests_per_connection) == (16, 5)
        assert (scenario.server_cores, scenario.connections) == (4, (32,))

    @pytest.mark.parametrize("name", ["echo-ws", "baseline-h2"])
    def test_raw_templates_are_http_1(self, raw: str, name: str) -> None:
        with pytest.raises(UsageError, match="speaks another protocol"):
            chosen_scenario(name, raw)

    def test_none_at_all(self) -> None:
        with pytest.raises(UsageError, match="no scenario: name one") as caught:
            chosen_scenario("", None)
        assert "--raw" in str(caught.value)


class TestTarget:
    """Loopback only, unless the user says otherwise."""

    @pytest.mark.parametrize(
        ("host", "address"),
        [
            ("127.0.0.1", "127.0.0.1"),
            ("127.8.9.1", "127.8.9.1"),
            ("localhost", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("0:0:0:0:0:0:0:1", "::1"),
        ],
    )
    @pytest.mark.parametrize("allowed", [False, True])
    def test_loopback_is_loaded(self, host: str, address: str, allowed: bool) -> None:
        assert check_target(host, allowed) == address

    @pytest.mark.parametrize("host", ["192.168.0.7", "8.8.8.8", "0.0.0.0", "::", "2001:db8::1"])
    def test_others_are_loaded_when_allowed(self, host: str) -> None:
        with pytest.raises(UsageError, match=r"not a loopback address.*--allow-remote"):
            check_target(host, False)
        assert check_target(host, True) == host

    @pytest.mark.parametrize("host", ["", "example.org", "127.1", "127.0.0.1:80", "1.2.3.4.5"])
    @pytest.mark.parametrize("allowed", [False, True])
    def test_names_are_refused(self, host: str, allowed: bool) -> None:
        with pytest.raises(UsageError, match="not an address"):
            check_target(host, allowed)


def test_unknown_names_are_refused_with_those_that_are_known() -> None:
    check_names(["a", "b"], ["a", "b", "c"], "thing")
    with pytest.raises(UsageError, match="no thing 'x'; known: a, b"):
        check_names(["a", "x"], ["a", "b"], "thing")


class TestCpus:
    """`--server-cpus 0-3,6`."""

    def test_are_nothing_where_none_is_given(self) -> None:
        assert parse_cpu_option(None) is None

    @pytest.mark.parametrize(
        ("text", "cpus"), [("0", (0,)), ("0-3,6", (0, 1, 2, 3, 6)), ("6,0-1,1", (0, 1, 6))]
    )
    def test_are_numbers_and_ranges(
        self, monkeypatch: pytest.MonkeyPatch, text: str, cpus: tuple[int, ...]
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
        assert parse_cpu_option(text) == cpus

    @pytest.mark.parametrize("text", ["", "x", "0-", "3-1", "9", "0,9", "-1"])
    def test_that_cannot_be_used_are_refused(
        self, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
        with pytest.raises(UsageError, match="CPU"):
            parse_cpu_option(text)
