"""The files of /static: made once, with precompressed forms beside them, read for each request."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from reference_server.compression import BROTLI, GZIP, IDENTITY, VARY, choose_coding, compress
from reference_server.made_once import cache_directory, made_once
from reference_server.messages import HttpError, Request, Response

SEED = 20
SIZES = {
    "reset.css": 1_400,
    "layout.css": 18_000,
    "theme.css": 12_500,
    "components.css": 64_000,
    "utilities.css": 38_000,
    "analytics.js": 9_800,
    "helpers.js": 22_000,
    "app.js": 96_000,
    "vendor.js": 200_000,
    "router.js": 27_000,
    "header.html": 3_200,
    "footer.html": 2_100,
    "regular.woff2": 48_000,
    "bold.woff2": 51_000,
    "logo.svg": 4_600,
    "icon-sprite.svg": 33_000,
    "hero.webp": 180_000,
    "thumb1.webp": 14_000,
    "thumb2.webp": 15_500,
    "manifest.json": 1_100,
}
# text/javascript: RFC 9239. The fonts and images are compressed as they are.
CONTENT_TYPES = {
    ".css": b"text/css",
    ".js": b"text/javascript",
    ".html": b"text/html",
    ".svg": b"image/svg+xml",
    ".json": b"application/json",
    ".woff2": b"font/woff2",
    ".webp": b"image/webp",
}
COMPRESSIBLE = {".css", ".js", ".html", ".svg", ".json"}
SUFFIXES = {BROTLI: ".br", GZIP: ".gz"}
# Brotli first: nothing is compressed while a client waits, so the smallest file is the best.
SMALLEST_FIRST = (BROTLI, GZIP)
# This happens once, so it may take long; quality 11 would take seconds at the first start.
BROTLI_QUALITY = 9
GZIP_LEVEL = 3

WORDS = (
    "align auto block border button color container content display flex font function grid "
    "height hover inline item label left link margin media none padding position primary return "
    "right shadow size solid span state style text transition value width window"
)


def text_of(source: random.Random, size: int) -> bytes:
    """`size` bytes that compress about as well as code does."""
    known = WORDS.split()
    words: list[str] = []
    length = 0
    while length <= size:  # The last word has no space behind it.
        word = source.choice(known)
        if source.random() < 0.3:
            word += f"-{source.randrange(1_000)}"
        words.append(word)
        length += len(word) + 1
    return " ".join(words).encode()[:size]


def content_of(name: str, source: random.Random, size: int) -> bytes:
    """A file's content: valid where a reader would look, and of exactly this size."""
    suffix = Path(name).suffix
    opening, closing = {
        ".css": (b"/* ", b" */\n"),
        ".js": (b"// ", b"\n"),
        ".html": (b"<!doctype html>\n<p>", b"</p>\n"),
        ".svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><desc>', b"</desc></svg>\n"),
        ".json": (b'{"description": "', b'"}\n'),
        ".woff2": (b"wOF2", b""),
        ".webp": (b"RIFF" + (size - 8).to_bytes(4, "little") + b"WEBP", b""),
    }[suffix]
    inside = size - len(opening) - len(closing)
    filling = text_of(source, inside) if suffix in COMPRESSIBLE else source.randbytes(inside)
    return opening + filling + closing


def make_files(directory: Path) -> None:
    """Writes all files, and the precompressed forms of those that gain from it."""
    directory.mkdir()
    source = random.Random(SEED)
    for name, size in SIZES.items():
        content = content_of(name, source, size)
        path = directory / name
        path.write_bytes(content)
        if path.suffix in COMPRESSIBLE:
            for coding in SMALLEST_FIRST:
                small = compress(content, coding, GZIP_LEVEL, BROTLI_QUALITY)
                Path(f"{path}{SUFFIXES[coding]}").write_bytes(small)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file: its type, and the path and headers of its form in each coding there is."""

    content_type: bytes
    codings: tuple[bytes, ...]
    forms: Mapping[bytes, tuple[str, tuple[tuple[bytes, bytes], ...]]]


def find_files(directory: Path) -> dict[bytes, StaticFile]:
    """The files of a directory by name.

    A request is answered from this table and never from a path that a client wrote, so there is
    no name, with dots or encoded slashes, that leads out of the directory.
    """
    found = {}
    for path in sorted(directory.iterdir()):
        if path.suffix in SUFFIXES.values():
            continue
        coded = {
            coding: Path(f"{path}{SUFFIXES[coding]}")
            for coding in SMALLEST_FIRST
            if Path(f"{path}{SUFFIXES[coding]}").exists()
        }
        forms = {
            coding: (str(each), ((b"Content-Encoding", coding), VARY))
            for coding, each in coded.items()
        }
        content_type = CONTENT_TYPES.get(path.suffix, b"application/octet-stream")
        found[path.name.encode()] = StaticFile(
            content_type, tuple(coded), {**forms, IDENTITY: (str(path), (VARY,) if coded else ())}
        )
    return found


@functools.cache
def static_files() -> dict[bytes, StaticFile]:
    """The files that are served, made if this is their first use."""
    return find_files(made_once(cache_directory() / "static", make_files))


def read_file(path: str) -> bytes:
    """The content of a file, from disk.

    Files this small come out of the page cache in 2 to 6 us. Handing that to a thread would take
    longer than doing it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def static(request: Request) -> Response:
    """A file in the smallest form that the client accepts."""
    file = static_files().get(request.argument)
    if file is None:
        raise HttpError(HTTPStatus.NOT_FOUND)
    coding = choose_coding(request.header(b"accept-encoding"), file.codings)
    path, headers = file.forms[coding]
    return Response(read_file(path), file.content_type, headers=headers)
