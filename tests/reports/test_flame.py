"""Profiles for the page: every sample is somewhere, in the whole and in each slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnose.analysis.profile_change import StackCost
from diagnose.model.profile import Profile
from diagnose.reports.flame import CUT, MOST_DEPTH, MOST_FRAME, RARE, profiles
from tests.builders import make_profile, make_waits


def stacks(told: dict[str, Any], number: int = 0) -> dict[str, int]:
    """The stacks of a profile as collapsed text."""
    one = told["profiles"][number]
    rows = [";".join(told["names"][frame] for frame in stack) for stack in one["stacks"]]
    return dict(zip(rows, one["counts"], strict=True))


def test_frames_are_told_once_for_all_processes() -> None:
    one = make_profile({"main;handle;dumps": 80, "main;handle": 20})
    other = make_profile({"main;read": 5}, pid=7)
    told = profiles([one, other], 0.0, 100)
    assert told["names"] == ["main", "handle", "dumps", "read"]
    assert stacks(told) == {"main;handle;dumps": 80, "main;handle": 20}
    assert stacks(told, 1) == {"main;read": 5}
    assert told["profiles"][1]["pid"] == 7
    assert told["profiles"][0]["slices"] == []


def test_light_stacks_become_one() -> None:
    told = profiles([make_profile({"a;b": 50, "a;c": 30, "a;d": 2, "a;e": 1})], 0.0, 2)
    assert stacks(told) == {"a;b": 50, "a;c": 30, RARE: 3}


def test_endless_names_and_stacks_are_cut() -> None:
    deep = ";".join(f"f{n}" for n in range(1000))
    told = profiles([make_profile({deep: 1, "x" * 5000: 2})], 0.0, 10)
    assert max(len(name) for name in told["names"]) == MOST_FRAME
    assert max(len(stack) for stack in told["profiles"][0]["stacks"]) == MOST_DEPTH
    assert CUT in told["names"]


def test_stacks_that_differ_only_in_what_is_cut_are_one() -> None:
    told = profiles([make_profile({"x" * 300 + "a": 1, "x" * 300 + "b": 2})], 0.0, 10)
    assert list(stacks(told).values()) == [3]


def test_each_kind_says_what_a_weight_is() -> None:
    looks = make_waits({"t;f;futex_do_wait": 60}, looks=20)
    switches = make_waits({"t;f;schedule": 5}, unit="us", seconds=0.5)
    held = make_waits({"t;f": 5}, kind="memory", unit="bytes")
    lock = make_waits({"t;f": 5}, kind="lock")
    told = profiles([make_profile(), looks, switches, held, lock], 0.0, 10)["profiles"]
    assert [(one["unit"], one["each"]) for one in told] == [
        ("samples", 1.0),
        ("threads", 0.05),
        ("threads", 2e-6),
        ("bytes", 1.0),
        ("looks", 1.0),
    ]


def test_rare_stacks_of_a_difference_become_one() -> None:
    costs = [StackCost(("main", "a"), 2e-6, 3e-6), StackCost(("b",), 1e-6, 0.0)]
    costs += [StackCost(("c",), 0.0, 5e-7), StackCost(("d",), 4e-7, 1e-7)]
    told = profiles([], 0.0, 2, costs)
    (one,) = told["profiles"]
    assert stacks(told) == {"main;a": 3000, "b": 1000, RARE: 600}
    assert (one["before"], one["now"]) == ([2000, 1000, 400], [3000, 0, 600])


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time with its stacks."""

    started: float
    ended: float
    stacks: tuple[tuple[tuple[str, ...], int], ...]


@dataclass(frozen=True, slots=True)
class Sliced(Profile):
    """A profile with time slices."""

    slices: tuple[Piece, ...] = ()


def sliced() -> Profile:
    """Two seconds: parsing in the first, writing in the second, rarely something else."""
    whole = make_profile({"main;parse": 60, "main;write": 40, "main;rare": 1})
    first = Piece(100.0, 101.0, ((("main", "parse"), 60),))
    second = Piece(101.0, 102.0, ((("main", "write"), 40), (("main", "rare"), 1)))
    return Sliced(whole.note, whole.stacks, (first, second))


def test_slices_point_at_the_stacks() -> None:
    told = profiles([sliced()], 90.0, 2)
    assert told["profiles"][0]["slices"] == [
        {"from": 10.0, "to": 11.0, "pairs": [0, 60]},
        {"from": 11.0, "to": 12.0, "pairs": [1, 40, 2, 1]},
    ]
    assert list(stacks(told)) == ["main;parse", "main;write", RARE]
