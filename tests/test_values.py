"""Values in requests: `{RAND:min:max}` and `{SEQ:start}`."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose.values import drawn, example, fill, has_counter, has_values, malformed


def lowest(low: int, _: int) -> int:
    return low


def highest(_: int, high: int) -> int:
    return high


FILLED = {
    "nothing": (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"),
    "rand": (b"a={RAND:10:99}", b"a=10", b"a=99"),
    "zero_padded": (b"{RAND:1:1000}", b"0001", b"1000"),
    "from_zero": (b"{RAND:0:9}", b"0", b"9"),
    "one_value": (b"{RAND:7:7}", b"7", b"7"),
    "leading_zeros_of_max": (b"{RAND:1:099}", b"001", b"099"),
    "leading_zeros_of_min": (b"{RAND:007:9}", b"7", b"9"),
    "counter": (b"/{SEQ:10}", b"/15", b"/15"),
    "several": (b"{RAND:1:2}-{SEQ:0}-{RAND:3:40}", b"1-5-03", b"2-5-40"),
    "side_by_side": (b"{SEQ:1}{SEQ:2}{RAND:1:2}", b"671", b"672"),
    "in_braces": (b"{{RAND:1:2}}", b"{1}", b"{2}"),
    "18_digits": (b"{RAND:0:999999999999999999}", b"0" * 18, b"9" * 18),
    "binary": (b"\xff\x00{SEQ:0}\x80", b"\xff\x005\x80", b"\xff\x005\x80"),
}


@pytest.mark.parametrize(("data", "low", "high"), FILLED.values(), ids=FILLED.keys())
def test_fill(data: bytes, low: bytes, high: bytes) -> None:
    """Of connection number 5."""
    assert fill(data, 5, lowest) == low
    assert fill(data, 5, highest) == high
    assert has_values(data) == (low != data)


NONE = {
    "no_values": b"GET /{id} HTTP/1.1",
    "small_letters": b"{rand:1:2}",
    "no_braces": b"RAND:1:2",
    "another_word": b"{RANDOM",
}
MALFORMED = {
    "no_max": (b"a={RAND:5}", "{RAND:5}"),
    "empty": (b"{RAND}", "{RAND}"),
    "three": (b"{RAND:1:2:3}", "{RAND:1:2:3}"),
    "words": (b"{RAND:a:b}", "{RAND:a:b}"),
    "negative": (b"{RAND:-5:5}", "{RAND:-5:5}"),
    "fraction": (b"{RAND:0.5:1}", "{RAND:0.5:1}"),
    "space": (b"{RAND: 1:2}", "{RAND: 1:2}"),
    "reversed": (b"{RAND:2:1}", "{RAND:2:1}"),
    "19_digits": (b"{SEQ:%b}" % (b"1" * 19), f"{{SEQ:{'1' * 19}}}"),
    "counter_without_start": (b"/{SEQ}", "{SEQ}"),
    "counter_of_two": (b"{SEQ:1:2}", "{SEQ:1:2}"),
    "open": (b"{SEQ:1", "{SEQ:1"),
    "open_at_the_end_of_a_line": (b"{RAND:1:2\r\nA: }", "{RAND:1:2"),
    "second": (b"{RAND:1:2}{SEQ:x}", "{SEQ:x}"),
}


@pytest.mark.parametrize("data", NONE.values(), ids=NONE.keys())
def test_what_is_no_value_stays(data: bytes) -> None:
    assert not has_values(data)
    assert example(data) == data


@pytest.mark.parametrize(("data", "said"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(data: bytes, said: str) -> None:
    assert malformed(data) == said


@pytest.mark.parametrize("data", [data for data, *_ in FILLED.values()], ids=FILLED.keys())
def test_right_values_are_not_malformed(data: bytes) -> None:
    assert malformed(data) == ""


def test_only_a_counter_has_no_constant_length() -> None:
    assert has_counter(b"{RAND:1:9}{SEQ:1}")
    assert not has_counter(b"{RAND:1:9}")
    assert [len(fill(b"{SEQ:9}", number, lowest)) for number in (0, 1, 991)] == [1, 2, 4]


def test_an_example_is_always_the_same() -> None:
    data = b"{RAND:10:99}/{SEQ:7}"
    assert example(data) == example(data) == b"10/7"


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**9), st.randoms())
def test_any_draw_is_within_its_bounds_and_of_one_length(
    one: int, other: int, number: int, draws: random.Random
) -> None:
    low, high = sorted((one, other))
    text = fill(b"{RAND:%d:%d}" % (low, high), number, draws.randint)
    assert len(text) == len(str(high))
    assert low <= int(text) <= high


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_counters_count_up(start: int, number: int) -> None:
    assert drawn(b"{SEQ:%d}" % start, number) == b"%d" % (start + number)


def test_draws_reach_both_bounds() -> None:
    assert {drawn(b"{RAND:1:2}", 0) for _ in range(200)} == {b"1", b"2"}


@given(st.binary(max_size=50))
def test_any_bytes_can_be_looked_at(data: bytes) -> None:
    assert (example(data) == data) or has_values(data)
    assert isinstance(malformed(data), str)
