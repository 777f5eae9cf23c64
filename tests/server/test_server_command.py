"""The server's command before it is started, and the end of its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from diagnose.errors import UsageError
from diagnose.server.launch import LOG_LINES, check_command, expand, log_tail, names_port

# -- expand -------------------------------------------------------------------------------------

WORDS = {
    "word": ("$PORT", "8080"),
    "braces": ("${PORT}", "8080"),
    "inside": ("--listen=127.0.0.1:$PORT", "--listen=127.0.0.1:8080"),
    "braces_inside": ("x${PORT}y", "x8080y"),
    "twice": ("$PORT:${PORT}", "8080:8080"),
    "before_punctuation": ("http://h:$PORT/", "http://h:8080/"),
    "longer_name": ("$PORTS $PORT_2", "$PORTS $PORT_2"),
    "lower_case": ("$port ${port}", "$port ${port}"),
    "other_names": ("$HOME ${USER} $1 $@ $?", "$HOME ${USER} $1 $@ $?"),
    "dollar_alone": ("$", "$"),
    "dollar_at_the_end": ("a$", "a$"),
    "open_brace": ("${PORT", "${PORT"),
    "default": ("${PORT:-80}", "${PORT:-80}"),
    "regular_expression": ("^/a$|b$", "^/a$|b$"),
    "two_dollars": ("echo $$", "echo $$"),
    "two_dollars_before_the_name": ("$$PORT $${PORT}", "$$PORT $${PORT}"),
    "two_dollars_elsewhere": ("kill -0 $$ && exec x $PORT", "kill -0 $$ && exec x 8080"),
    "nothing": ("--port", "--port"),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("word", "expanded"), WORDS.values(), ids=WORDS.keys())
def test_expand(word: str, expanded: str) -> None:
    """`$$` is the shell's PID in `sh -c '...'`, and not ours to replace."""
    assert expand([word], 8080) == [expanded]


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("$TLS_PORT", "8443"),
        ("${TLS_PORT}", "8443"),
        ("--port=$PORT,$TLS_PORT", "--port=80,8443"),
        ("$H2_PORT", "$H2_PORT"),
        ("$$TLS_PORT", "$$TLS_PORT"),
        ("$TLS_PORTS", "$TLS_PORTS"),
        ("$MY_TLS_PORT", "$MY_TLS_PORT"),
    ],
)
def test_expand_more_ports(word: str, expanded: str) -> None:
    assert expand([word], 80, {"TLS_PORT": 8443}) == [expanded]


def test_whether_a_port_is_named() -> None:
    assert names_port(["./server", "--tls=${TLS_PORT}"], "TLS_PORT")
    assert not names_port(["./server", "$PORT", "$$TLS_PORT"], "TLS_PORT")


def test_expand_keeps_words_apart() -> None:
    assert expand(["./server", "--port", "$PORT", "a b"], 0) == ["./server", "--port", "0", "a b"]


# -- check_command ------------------------------------------------------------------------------


@pytest.fixture(name="here")
def here_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory beside a PATH of one directory with one program."""
    programs, here = tmp_path / "bin", tmp_path / "here"
    programs.mkdir()
    here.mkdir()
    (programs / "on-path").write_text("#!/bin/sh\n")
    (programs / "on-path").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.chdir(here)
    return here


def program(path: Path, mode: int = 0o755) -> str:
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return str(path)


def refused(command: Sequence[str]) -> str:
    with pytest.raises(UsageError) as caught:
        check_command(command)
    return str(caught.value)


@pytest.mark.usefixtures("here")
def test_a_program_on_path() -> None:
    check_command(["on-path", "--port", "$PORT"])
    assert "not on PATH" in refused(["on-path-not"])


def test_a_program_by_its_path(here: Path) -> None:
    absolute = program(here / "server")
    check_command([absolute])
    check_command(["./server"])
    check_command(["../here/server"])
    assert "no such file" in refused(["./server2"])


def test_a_missing_path_is_named(here: Path) -> None:
    message = refused([str(here / "missing")])
    assert str(here / "missing") in message
    assert "no such file" in message
    assert "sh -c" in message


def test_a_directory(here: Path) -> None:
    (here / "server").mkdir()
    assert "it is a directory" in refused(["./server"])


def test_a_file_that_is_not_executable(here: Path) -> None:
    name = program(here / "server.py", 0o644)
    message = refused([name])
    assert "not executable" in message
    assert f"chmod +x {name}" in message


@pytest.mark.usefixtures("here")
def test_a_whole_shell_line_as_one_word() -> None:
    message = refused(["on-path --port 8080"])
    assert "not on PATH" in message
    assert "not given to a shell" in message


def test_an_executable_of_this_directory_needs_its_dot(here: Path) -> None:
    program(here / "server")
    message = refused(["server"])
    assert "not on PATH; write ./server" in message
    assert "not executable" not in message


# -- log_tail -----------------------------------------------------------------------------------

LOGS = {
    "empty": (b"", ()),
    "one_line": (b"started\n", ("started",)),
    "no_line_end": (b"a\nb", ("a", "b")),
    "empty_lines": (b"\n\na\n\n", ("", "", "a", "")),
    "carriage_returns": (b"a\r\nb\r\n", ("a", "b")),
    "not_utf_8": (b"caf\xe9\n", ("caf\ufffd",)),
    "utf_8": ("caf\u00e9\n".encode(), ("caf\u00e9",)),
    "escapes": (b"\x1b[31mred\x1b[0m\n", ("\x1b[31mred\x1b[0m",)),
}


@pytest.mark.parametrize(("content", "lines"), LOGS.values(), ids=LOGS.keys())
def test_log_tail(tmp_path: Path, content: bytes, lines: tuple[str, ...]) -> None:
    path = tmp_path / "server.log"
    path.write_bytes(content)
    assert log_tail(path) == lines


@pytest.mark.parametrize("count", [1, LOG_LINES, LOG_LINES + 1, 5000])
def test_the_last_lines_of_a_log(tmp_path: Path, count: int) -> None:
    path = tmp_path / "server.log"
    path.write_text("".join(f"line {number} {'x' * 40}\n" for number in range(count)))
    tail = log_tail(path)
    assert len(tail) == min(count, LOG_LINES)
    assert tail[-1].startswith(f"line {count - 1} ")
    assert tail[0].startswith(f"line {max(0, count - LOG_LINES)} ")
    assert log_tail(path, 1) == tail[-1:]


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_bytes(b"first\n" + b"x" * 1_000_000 + b"\nlast\n")
    tail = log_tail(path)
    assert tail[-1] == "last"
    assert "first" not in tail
    assert sum(map(len, tail)) <= 64 * 1024


def test_no_log(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "missing.log") == ()
    assert log_tail(tmp_path) == ()
