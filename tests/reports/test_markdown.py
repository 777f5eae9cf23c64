"""Markdown: nothing that a server says becomes markup, and the commands can be pasted."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from diagnose.model.finding import Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.reports.markdown import FILE, files, render
from tests.builders import (
    empty_run,
    make_finding,
    make_launch,
    make_profile,
    make_run,
    make_samples,
    make_scenario,
    one_thread,
)
from tests.reports.screens import MARKDOWN, MARKUP, analyzed, everywhere


def unescaped(text: str) -> str:
    """What a reader of the rendered page sees of a piece of text."""
    return re.sub(r"\\([\\`*_\[\]<>|#])", r"\1", text)


def line_with(text: str, start: str) -> str:
    """The only line that starts so."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line


def repeated(item: Analyzed) -> str:
    """The command in the last code block."""
    match = re.search(r"^(````*)\n(.*?)\n\1$", render([item]), re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[2]


class TestContent:
    """Verdict first, then figures, pictures, what is open, what was ruled out, how to repeat."""

    def test_sections_are_in_order(self) -> None:
        samples = make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16))
        run = make_run(samples=samples, profiles=(make_profile(),))
        text = render([analyzed(run)], ["cpu.png", "throughput-and-latency.png"])
        wanted = [
            "# my-server: cause: single\\_threaded; symptom: low\\_cpu",
            "## Found: `single_threaded` (cause)",
            "| figure | value | limit | file |",
            "**Next:** start one worker",
            "## Found: `low_cpu` (symptom)",
            "Explained by single\\_threaded.",
            "## Figures",
            "| throughput | 1,000 right responses/s (5,000 responses) |",
            "![cpu](cpu.png)",
            "![throughput and latency](throughput-and-latency.png)",
            "## Hottest frames of PID 5001",
            "py\\_spy at 49 Hz, 100 samples.",
            "| 80.0% | `dumps (json.py:3)` |",
            "## Could not be told",
            "- `body_buffered`: the scenario sends no large bodies",
            "## Ruled out",
            "- `errors`: 0 of 5000 failed",
            "## To repeat it",
        ]
        positions = [text.index(part) for part in wanted]
        assert positions == sorted(positions)

    def test_a_symptom_without_a_cause_says_so(self) -> None:
        symptom = make_finding("low_cpu", kind=Kind.SYMPTOM)
        text = render([analyzed(make_run(), [symptom, make_finding()])])
        assert text.count("Nothing found explains it.") == 1

    def test_evidence_has_units_and_limits(self) -> None:
        text = render([analyzed(make_run(), [make_finding()])])
        assert "| top_thread_busy | 0.97 cores | 0.90 cores | samples.jsonl |" in text

    def test_a_next_step_of_ours_is_markdown(self) -> None:
        step = "read `diagnose findings crashed`; *then* <https://example.com/a_b>"
        text = render([analyzed(make_run(), [make_finding(next_step=step)])])
        assert f"**Next:** {step}\n" in text

    def test_sections_without_content_are_left_out(self) -> None:
        text = render([analyzed(make_run(), [make_finding("errors", Verdict.CLEAR, Kind.SYMPTOM)])])
        assert "Could not be told" not in text
        assert "## Found" not in text
        assert "## Ruled out" in text

    def test_an_empty_run_has_a_page(self) -> None:
        text = render([analyzed(empty_run())])
        assert text.startswith("# my-server: partial run (it was killed):")
        assert "None" not in text

    def test_the_machine_is_named(self) -> None:
        text = render([analyzed(make_run())])
        assert (
            "diagnose 0.1.0, Linux 6.18.0, Example CPU, 4 cores, 16 GiB; server on CPUs 0,1, "
            "load on 2,3." in text
        )

    def test_several_runs_are_several_pages(self) -> None:
        text = render([analyzed(make_run()), analyzed(make_run(connections=512))])
        assert text.count("## To repeat it") == 2


class TestHostileText:
    """What comes from a server stays text."""

    @pytest.mark.parametrize("text", [MARKDOWN, MARKUP], ids=["Markdown", "markup"])
    def test_is_escaped_in_prose(self, text: str) -> None:
        page = render([everywhere(text)])
        assert unescaped(line_with(page, "found ")) == f"found {text}."
        assert unescaped(line_with(page, "- `low")).endswith(f": unknown {text}")
        assert unescaped(line_with(page, "- `errors")).endswith(f": clear {text}")
        assert unescaped(line_with(page, "# name")).startswith(f"# name {text}: ")

    def test_leaves_no_character_that_means_something(self) -> None:
        line = line_with(render([everywhere(MARKDOWN)]), "found ")
        assert re.search(r"(?<!\\)(\\\\)*[`*_\[\]<>|#]", line) is None

    def test_does_not_add_columns_to_tables(self) -> None:
        page = render([everywhere("a|b|c")])
        for start in ("| example", "| throughput", "| 100.0%"):
            cells = re.split(r"(?<!\\)\|", line_with(page, start))
            header = 4 if start == "| example" else 2
            assert len(cells) == header + 2

    def test_does_not_start_lines(self) -> None:
        item = everywhere("a\n# title\n- item\n\n```\ncode\r\n| x |")
        # A next step is our own, and may be Markdown.
        page = render(
            [replace(item, findings=tuple(replace(f, next_step="") for f in item.findings))]
        )
        prose, _, command = page.partition("## To repeat it")
        starts = ("# title", "- item", "| x", "code", "```")
        assert not any(line.startswith(starts) for line in prose.splitlines())
        assert re.findall(r"^````+$", command, re.MULTILINE) == ["````", "````"]
        assert command.endswith("````\n"), "the fence of the command is not left"

    def test_in_frames_stays_in_its_code(self) -> None:
        page = render([everywhere("`<b>`\n|")])
        assert "| 100.0% | `frame '<b>' \\|` |" in page


COMMANDS = [
    pytest.param(("./my-server", "--port", "8080"), id="plain"),
    pytest.param(("sh", "-c", "exec ./s --x 'a b' \"$PORT\""), id="quotes"),
    pytest.param(("./s", "", "*", ";rm -rf /", "a\\b", "é"), id="shell"),
    pytest.param(("sh", "-c", "echo `nproc`; exec ./s ```"), id="backticks"),
]


class TestRepeat:
    """The command that measures it again."""

    @pytest.mark.parametrize("command", COMMANDS)
    def test_is_the_one_that_was_given(self, command: tuple[str, ...]) -> None:
        given = ("run", "./own scenario.toml", "-c", "64,256", "--", *command)
        line = repeated(analyzed(make_run(invocation=given)))
        assert shlex.split(line) == ["diagnose", *given]

    @pytest.mark.parametrize("command", COMMANDS)
    def test_is_made_up_where_none_was_given(self, command: tuple[str, ...]) -> None:
        scenario = make_scenario(pipeline=16, requests_per_connection=25)
        launch = make_launch(command=command, host="127.0.0.2")
        item = analyzed(make_run(launch=launch, connections=256, scenario=scenario))
        assert shlex.split(repeated(item)) == [
            *("diagnose", "run", "baseline", "-c", "256", "-d", "5", "-p", "16", "-r", "25"),
            *("--host", "127.0.0.2", "--port", "8080", "--", *command),
        ]

    @pytest.mark.parametrize(
        ("host", "url"),
        [("127.0.0.1", "http://127.0.0.1:9000"), ("::1", "http://[::1]:9000")],
        ids=["IPv4", "IPv6"],
    )
    def test_of_an_attached_server(self, host: str, url: str) -> None:
        launch = make_launch(command=(), attached=True, host=host, port=9000)
        assert shlex.split(repeated(analyzed(make_run(launch=launch)))) == [
            *("diagnose", "attach", "baseline", "-c", "64", "-d", "5", "-p", "1", "-r", "0"),
            *("--pid", "PID", "--url", url),
        ]


def test_files_are_the_page_and_its_pictures() -> None:
    written = files(analyzed(make_run(ticks=())))
    assert set(written) == {FILE, "cpu.png", "memory.png"}
    text = written[FILE].decode()
    assert "![cpu](cpu.png)" in text
    assert "![memory](memory.png)" in text
    assert "throughput-and-latency" not in text
