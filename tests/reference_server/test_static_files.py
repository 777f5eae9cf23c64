"""The files of /static: what is made, what is found, and what is not."""

from __future__ import annotations

import gzip
import os
from http import HTTPStatus
from pathlib import Path
from xml.etree import ElementTree

import brotli
import orjson
import pytest

from reference_server import static_files
from reference_server.endpoints import ROUTES
from reference_server.made_once import made_once
from reference_server.messages import Body, HttpError, Request, Response, find_route
from reference_server.static_files import SIZES, find_files, make_files, read_file, static


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data") / "static"
    make_files(made)
    return made


@pytest.fixture(autouse=True)
def served(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_files(directory)
    monkeypatch.setattr(static_files, "static_files", lambda: found)


def get(name: bytes, accept: bytes = b"") -> Response:
    headers = [(b"Accept-Encoding", accept)] if accept else []
    return static(Request(b"GET", name, b"", headers, Body(), static))


def test_there_are_twenty_files_of_realistic_size(directory: Path) -> None:
    assert len(find_files(directory)) == len(SIZES) == 20
    for name, size in SIZES.items():
        assert (directory / name).stat().st_size == size
        assert 1_000 <= size <= 200_000


def test_files_are_the_same_every_time(directory: Path, tmp_path: Path) -> None:
    make_files(tmp_path / "again")
    for path in directory.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", SIZES)
def test_file_is_served_from_disk_with_its_type(directory: Path, name: str) -> None:
    response = get(name.encode())
    assert response.body == (directory / name).read_bytes()
    assert len(response.body) == SIZES[name]
    types = {
        "css": "text/css",
        "js": "text/javascript",
        "html": "text/html",
        "svg": "image/svg+xml",
    }
    types |= {"json": "application/json", "woff2": "font/woff2", "webp": "image/webp"}
    assert response.content_type.decode() == types[name.rpartition(".")[2]]
    assert all(key != b"Content-Encoding" for key, _ in response.headers)


@pytest.mark.parametrize("name", SIZES)
def test_precompressed_form_is_the_same_file(directory: Path, name: str) -> None:
    content = (directory / name).read_bytes()
    small = get(name.encode(), b"gzip, br")
    if name.endswith((".woff2", ".webp")):
        assert small == get(name.encode())
        return
    assert (b"Content-Encoding", b"br") in small.headers
    assert brotli.decompress(small.body) == content
    zipped = get(name.encode(), b"gzip")
    assert (b"Content-Encoding", b"gzip") in zipped.headers
    assert gzip.decompress(zipped.body) == content
    assert len(small.body) < len(zipped.body) < len(content)
    assert small.content_type == zipped.content_type == get(name.encode()).content_type
    for response in (small, zipped, get(name.encode())):
        assert (b"Vary", b"Accept-Encoding") in response.headers


def test_texts_are_what_their_names_say(directory: Path) -> None:
    assert "description" in orjson.loads((directory / "manifest.json").read_bytes())
    for name in ("logo.svg", "icon-sprite.svg"):
        assert ElementTree.fromstring((directory / name).read_text()).tag.endswith("svg")


@pytest.mark.parametrize(
    "path",
    [
        *(b"/static/nothing.css", b"/static/", b"/static", b"/static/reset.css/", b"/static/."),
        *(b"/static/..", b"/static/../static/reset.css", b"/static/%2e%2e%2fendpoints.py"),
        *(b"/static/reset.css.gz", b"/static/reset.css.br", b"/static/RESET.CSS"),
        *(b"/static/reset.css%00", b"/static/reset.css\x00", b"/static//reset.css"),
        b"/static/..%5c..%5creset.css",
    ],
)
def test_nothing_else_is_served(path: bytes) -> None:
    route, argument = find_route(ROUTES, b"GET", path)
    with pytest.raises(HttpError) as caught:
        route.handler(Request(b"GET", argument, b"", [], Body(), route.handler))
    assert caught.value.status == HTTPStatus.NOT_FOUND


def test_reading_leaves_no_descriptor_open(directory: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        read_file(str(directory / "app.js"))
    with pytest.raises(FileNotFoundError):
        read_file(str(directory / "none"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("once")

    path = tmp_path / "deep" / "file"
    assert made_once(path, make) == path
    assert made_once(path, make) == path
    assert path.read_text() == "once"
    assert len(made) == 1
    # Made under another name, of which nothing is left.
    assert made[0] != path
    assert list(path.parent.iterdir()) == [path]


def test_second_maker_of_a_directory_uses_the_first(tmp_path: Path) -> None:
    path = tmp_path / "directory"

    def make(scratch: Path) -> None:
        # Meanwhile another server has made it.
        path.mkdir()
        (path / "first").touch()
        scratch.mkdir()
        (scratch / "second").touch()

    made_once(path, make)
    assert [each.name for each in path.iterdir()] == ["first"]
    assert list(tmp_path.iterdir()) == [path]


def test_failure_to_make_leaves_nothing(tmp_path: Path) -> None:
    def make(scratch: Path) -> None:
        scratch.touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        made_once(tmp_path / "file", make)
    assert list(tmp_path.iterdir()) == []
