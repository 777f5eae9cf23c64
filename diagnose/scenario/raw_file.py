"""Raw request templates: files that hold the exact bytes of one request.

gcannon reads them (`--raw get.raw,post.raw`); `{RAND:min:max}` and `{SEQ:start}` in them stand for
values. What they must answer is known where they ask an endpoint of the benchmark.
"""

from __future__ import annotations

import re
from pathlib import Path

from diagnose.errors import UsageError
from diagnose.model.scenario import RequestTemplate, Scenario
from diagnose.scenario.contract import anything, expectation
from diagnose.values import example, malformed

MAX_RAW = 64 * 1024 * 1024
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")


def raw_scenario(listed: str, connections: tuple[int, ...] = (512,)) -> Scenario:
    """The scenario of `--raw`: files with commas between them, or directories of `*.raw` files.

    Raises: UsageError naming the file that cannot be read.
    """
    paths: list[Path] = []
    for word in listed.split(","):
        if not word.strip():
            raise UsageError(
                f"--raw {listed!r}: there is an empty name in it; it takes files with commas "
                "between them, or a directory of *.raw files"
            )
        path = Path(word)
        if path.is_dir():
            inside = sorted(path.glob("*.raw"))
            if not inside:
                raise UsageError(f"--raw: no *.raw file in the directory {word!r}")
            paths += inside
        else:
            paths.append(path)
    templates = tuple(_read(path) for path in paths)
    names = [template.name for template in templates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"--raw: two files are called {twice[0]!r}: give them different names")
    return Scenario(
        name="raw",
        title=f"raw templates: {', '.join(names)}",
        round="",
        templates=templates,
        connections=connections,
    )


def _read(path: Path) -> RequestTemplate:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"--raw: cannot read {str(path)!r}: {error.strerror}; it takes files with commas "
            "between them, or a directory of *.raw files"
        ) from error
    if not data:
        raise UsageError(f"--raw: {str(path)!r} is empty: a request has at least one byte")
    if len(data) > MAX_RAW:
        raise UsageError(
            f"--raw: {str(path)!r} has {len(data)} bytes, more than {MAX_RAW}: write a scenario "
            "file with body_length instead, which holds a body once for all connections"
        )
    if problem := malformed(data):
        raise UsageError(
            f"--raw: {str(path)!r}: {problem!r} is not {{RAND:min:max}} with min <= max, nor "
            "{SEQ:start}"
        )
    return raw_template(path.stem, data)


def raw_template(name: str, data: bytes) -> RequestTemplate:
    """A template from exact bytes. A request that is not complete may get any answer."""
    shown = example(data)
    line = _REQUEST_LINE.match(shown)
    end = shown.find(b"\r\n\r\n")
    if line is None or end < 0:
        return RequestTemplate(name, "RAW", "/", expect=anything(), raw=data)
    method, target = line[1].decode(), line[2].decode()
    body = shown[end + 4 :]
    length = _body_length(shown[: end + 2], body)
    return RequestTemplate(
        name,
        method,
        target,
        expect=anything() if length is None else expectation(method, target, length),
        raw=data,
    )


def _body_length(head: bytes, body: bytes) -> int | None:
    """Bytes of the body without transfer coding; None when the framing does not fit the bytes."""
    if _CHUNKED.search(head):
        return _chunked_length(body)
    match = _LENGTH.search(head)
    # Python refuses to read more than some 4300 digits; no body is so long.
    length = int(match[1][:20]) if match else 0
    return length if length == len(body) else None


def _chunked_length(body: bytes) -> int | None:
    total = position = 0
    while match := _CHUNK.match(body, position):
        size = int(match[1], 16)
        position = match.end()
        if not size:
            return total if body.endswith(b"\r\n\r\n") else None
        total += size
        position += size + 2
    return None
