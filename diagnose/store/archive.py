"""Archives: the same files give the same bytes, and one of somebody else is read with care."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from diagnose.errors import UsageError
from diagnose.store import layout

SUFFIXES = (".tar.gz", ".tgz")
# The folder of the run directory inside of a bundle.
RUN = "run"
# A bundle holds some megabytes; what unpacks to more than this is not one.
MOST_UNPACKED = 500_000_000
MOST_FILES = 2000


def is_archive(path: Path) -> bool:
    """The file is named like an archive of ours."""
    return path.name.endswith(SUFFIXES) and path.is_file()


def pack(folder: str, files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz of the files below `folder`: sorted, without times or owners. `.sh` may be run."""
    out = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 9, out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(files[name])
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return out.getvalue()


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The run directory of a bundle, in a temporary folder.

    Raises: UsageError when it is none, is damaged, or would unpack to too much.
    """
    with tempfile.TemporaryDirectory(prefix="diagnose-bundle-") as scratch:
        try:
            with tarfile.open(path, "r:gz") as archive:
                size = 0
                for number, entry in enumerate(archive):
                    size += entry.size
                    if number >= MOST_FILES or size > MOST_UNPACKED:
                        raise UsageError(f"{path} unpacks to too much to be a bundle")
                    if entry.isfile():
                        # No links, no devices, nothing outside of the folder (PEP 706).
                        archive.extract(entry, scratch, filter="data")
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be unpacked: {error}") from error
        found = sorted(Path(scratch).glob(f"*/{RUN}/{layout.MANIFEST}"))
        if not found:
            raise UsageError(f"{path} is not a bundle: it holds no {RUN}/{layout.MANIFEST}")
        yield found[0].parent
