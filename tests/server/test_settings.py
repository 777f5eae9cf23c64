"""How processes were started, as /proc tells it; secrets stay where they are."""

from __future__ import annotations

import os

import pytest

from diagnose.server.settings import (
    MOST_ARGUMENTS,
    MOST_CHARACTERS,
    facts_of,
    parse_arguments,
    parse_environment,
)


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (b"python\0-m\0app\0", ("python", "-m", "app")),
        (
            b"nginx: master process /usr/sbin/nginx\0\0\0",
            ("nginx: master process /usr/sbin/nginx",),
        ),
        (b"a\0\0b\0", ("a", "", "b")),
        (b"\xff\0", ("�",)),
        (b"", ()),
        (b"\0\0", ()),
    ],
)
def test_arguments(data: bytes, arguments: tuple[str, ...]) -> None:
    assert parse_arguments(data) == arguments


def test_many_and_long_arguments_are_cut() -> None:
    found = parse_arguments(b"\0".join([b"x" * 999] * 99) + b"\0")
    assert len(found) == MOST_ARGUMENTS
    assert {len(word) for word in found} == {MOST_CHARACTERS}


def test_of_an_environment_only_the_switches_are_kept() -> None:
    data = (
        b"DATABASE_URL=postgres://user:secret@db\0FLASK_DEBUG=1\0NODE_ENV=production\0PATH=/bin\0"
    )
    assert parse_environment(data) == {"FLASK_DEBUG": "1", "NODE_ENV": "production"}


@pytest.mark.parametrize("data", [b"", b"\0", b"FLASK_DEBUG", b"=\0"])
def test_an_environment_without_pairs(data: bytes) -> None:
    assert set(parse_environment(data)) <= {"FLASK_DEBUG"}


def test_this_process_and_one_that_is_gone() -> None:
    (facts,) = facts_of([os.getpid(), os.getpid(), 2**22 + 1])
    assert facts.pid == os.getpid()
    assert facts.executable == os.readlink("/proc/self/exe")
    assert facts.arguments
