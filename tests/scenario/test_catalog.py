"""Scenarios by name, by round, by path; and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.errors import UsageError
from diagnose.scenario.catalog import find_scenario, read_scenario, shipped

TEXT = 'title = "t"\nconnections = [1]\n[[request]]\nname = "a"\ntarget = "/a"\n'


def test_found_by_its_own_name() -> None:
    assert {name: find_scenario(name) for name in shipped()} == shipped()


def test_names_are_in_alphabetical_order() -> None:
    names = list(shipped())
    assert names == sorted(names)
    assert {"baseline@2026-03", "json@2026-04", "limited-conn", "get"} <= set(names)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("baseline", "baseline@2026-04"),
        ("pipelined", "pipelined@2026-04"),
        ("json", "json@2026-04"),
        ("upload", "upload@2026-04"),
        ("limited-conn", "limited-conn"),
        ("get", "get"),
        ("upload-20mb", "upload-20mb"),
    ],
)
def test_a_bare_name_is_the_newest_round(name: str, found: str) -> None:
    assert find_scenario(name).name == found


@pytest.mark.parametrize("round_name", ["2026-03", "2026-04"])
def test_one_file_may_serve_several_rounds(round_name: str) -> None:
    assert find_scenario(f"limited-conn@{round_name}").name == "limited-conn"


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("basline", "baseline"),
        ("pipeline", "pipelined"),
        ("jsn", "json"),
        ("uploads", "upload"),
        ("limited_conn", "limited-conn"),
        ("json@2025-01", "json"),
        ("upload-20mb@2026-04", "upload-20mb"),
        ("jsno@2026-03", "json"),
    ],
)
def test_unknown_names_suggest(name: str, close: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_scenario(name)
    message = str(caught.value)
    assert f"no scenario {name!r}; did you mean {close!r}?" in message
    assert "diagnose scenarios" in message


@pytest.mark.parametrize(
    "name",
    [
        *("", "zzzzzzzzzz", "@", "@2026-03", "JSON@", "json@2026-04@x"),
        *("json@2", "json@-", "json@26-0", "limited-conn@3 2"),
    ],
)
def test_names_without_a_match_list_what_is_known(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_scenario(name)
    assert repr(name) in str(caught.value)
    for known in ("baseline", "json", "limited-conn", "pipelined", "upload-20mb"):
        assert known in str(caught.value)


def test_no_suggestion_where_nothing_is_close() -> None:
    with pytest.raises(UsageError, match="no scenario 'zzzzzzzzzz'") as caught:
        find_scenario("zzzzzzzzzz")
    assert "did you mean" not in str(caught.value)


def test_a_path_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    scenario = find_scenario(str(path))
    assert (scenario.name, scenario.templates[0].target) == ("mine", "/a")
    assert read_scenario(path) == scenario


def test_a_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    assert find_scenario("json.toml").templates[0].target == "/a"
    assert find_scenario("json").name == "json@2026-04"


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'title = "caf\xe9"\n')
    (tmp_path / "directory.toml").mkdir()
    for name in ("missing.toml", "latin.toml", "directory.toml"):
        with pytest.raises(UsageError, match="cannot read the scenario") as caught:
            find_scenario(str(tmp_path / name))
        assert name in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(TEXT.replace("[1]", "[0]"))
    with pytest.raises(UsageError, match=r"'broken'.*connections"):
        find_scenario(str(path))
