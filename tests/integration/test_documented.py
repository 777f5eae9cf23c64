"""The commands of the documentation that need no server, run as they stand there.

They are typed in a folder in which RUN, OLD, NEW and INVESTIGATION are what the pages mean by them.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from diagnose.cli import main
from tests.builders import make_profile, make_run, make_samples, one_thread
from tests.store.stored import store
from tests.test_docs import ALL

pytestmark = pytest.mark.integration

# These start or load a server, or try out the machine; they have tests of their own.
ELSEWHERE = {"run", "attach", "investigate", "probe", "selftest", "minimize", "doctor", "demo"}
# Alone they name the command, and say nothing that could be typed.
NEED_MORE = {"report", "compare", "bundle"}
BUNDLED = "runs/20261125-134225-my-server-upload-20mb-c32"
WALKED = "runs/20261125-222119-uploads-upload-20mb-c32"
COMMENT = (
    "runs/20261125-224237-after-get-c64 runs/20261125-224246-after-get-c64 "
    "runs/20261125-224255-after-get-c64 --format pr-comment "
    "--against runs/20261125-224209-before-get-c64 --against runs/20261125-224218-before-get-c64 "
    "--against runs/20261125-224227-before-get-c64"
)
# What is typed: exit status, and what must be in the output. A run with findings is no error.
SAID = {
    "diagnose scenarios": (0, "upload-20mb"),
    "diagnose scenarios NAME": (0, "baseline11"),
    "diagnose findings ID": (0, "memory"),
    "diagnose findings body_buffered": (0, "body_buffered"),
    "diagnose findings blocking_event_loop": (0, "wchan"),
    "diagnose findings single_threaded": (0, "WEB_CONCURRENCY"),
    "diagnose reference --list": (0, "buffered_body"),
    "diagnose history": (0, "baseline"),
    "diagnose history runs": (0, "baseline"),
    "diagnose compare runs/OLD runs/NEW": (0, "VERDICT"),
    "diagnose report --schema": (0, '"$schema"'),
    "diagnose report RUN --json": (0, '"single_threaded"'),
    "diagnose report RUN --format junit": (0, "<testsuite"),
    "diagnose report RUN --format html": (0, "RUN/report.html"),
    "diagnose report INVESTIGATION --format html": (0, "INVESTIGATION/report.html"),
    "diagnose report RUN --format speedscope": (0, "RUN/profile.speedscope.json"),
    "diagnose report NEW --format pr-comment --against OLD": (0, "| baseline | 64 |"),
    "diagnose report runs/NEW --format html --against runs/OLD": (0, "runs/NEW/report.html"),
    "diagnose report runs/NEW --format profile-change --against runs/OLD": (0, "us a request"),
    f"diagnose bundle {BUNDLED}": (0, ".tar.gz"),
    "diagnose bundle runs/RUN": (0, "RUN.tar.gz"),
    "diagnose bundle runs/INVESTIGATION/RUN": (0, "RUN.tar.gz"),
    f"diagnose bundle {WALKED} -o uploads.tar.gz": (0, "uploads.tar.gz"),
    f"diagnose report {COMMENT}": (0, "| baseline | 64 |"),
    "diagnose report ARCHIVE": (0, "VERDICT  cause: single_threaded"),
}


def typed() -> set[str]:
    """The lines of README.md and docs/ that are run here, without comments."""
    lines = {" ".join(line.partition(" #")[0].split()) for _, line in ALL}
    found = set()
    for line in lines:
        words = line.split()
        whole = not set("[(|") & set(line) and "..." not in line
        serves = words[1] == "reference" and "--list" not in words
        alone = len(words) == 2 and words[1] in NEED_MORE
        starts = words[1] in ELSEWHERE or serves or "--base" in words or "--budget" in words
        if whole and not alone and not starts:
            found.add(line)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the lines name."""
    home = tmp_path_factory.mktemp("documented")
    for parent in (home, home / "runs"):
        for name in ("OLD", "NEW"):
            keep(parent / name, {"main;parse": 600, f"main;{name}": 400})
        keep(parent / "RUN", {"main;parse": 600})
        keep(parent / "INVESTIGATION" / "RUN", {"main;parse": 600})
        document = {"schema": 1, "base": "runs/RUN", "complete": True, "seconds": 1.0}
        (parent / "INVESTIGATION" / "investigation.json").write_text(json.dumps(document))
    return home


@pytest.fixture
def typing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Types a command in that folder: its exit status, output and messages.

    A process for each would take ten seconds more, all of them for the same imports.
    """
    monkeypatch.chdir(folder)

    def type_(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["diagnose", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return type_


def keep(place: Path, stacks: dict[str, int]) -> None:
    """A stored run of a single-threaded server in a directory of that name."""
    profile = make_profile(stacks)
    samples = make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16))
    run = make_run(samples=samples, profiles=(profile,))
    run = replace(run, manifest=replace(run.manifest, profiles=(profile.note,)))
    store(place.parent, run).rename(place)


def test_the_documentation_names_these_and_no_others() -> None:
    assert typed() == set(SAID)


@pytest.mark.parametrize("line", list(SAID))
def test_it_does_what_it_says(
    folder: Path, typing: Callable[..., tuple[int, str, str]], line: str
) -> None:
    status, said = SAID[line]
    names = {"NAME": "baseline", "ID": "body_buffered", "ARCHIVE": "RUN.tar.gz"}
    words = [names.get(word, word) for word in shlex.split(line)[1:]]
    for place in (folder / word for word in words if word.startswith("runs/")):
        if not place.exists():
            keep(place, {"main;parse": 600})
    if words[0] == "bundle":
        # The commands of the reproduction start a server that is not there.
        words += ["--repeat", "0"]
    if "ARCHIVE" in line and not (folder / "RUN.tar.gz").exists():
        assert typing("bundle", "RUN", "--repeat", "0")[0] == 0
    got, out, err = typing(*words)
    assert got == status, err
    assert said in out
