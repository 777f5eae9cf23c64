"""The page: verdict first, nothing fetched, everything from a server is text, never too long."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from diagnose.model.finding import Evidence, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import ServerEnd
from diagnose.reports import html
from diagnose.reports.html import MOST_BYTES, render
from tests.builders import (
    MIB,
    empty_run,
    make_finding,
    make_host,
    make_profile,
    make_run,
    make_samples,
    make_ticks,
    one_thread,
    upload_run,
)
from tests.reports.screens import ESCAPES, analyzed, everywhere
from tests.reports.test_flame import sliced

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> \"' onfocus='alert(1) "
    "{{7*7}} --> <!-- ]]> javascript:alert(1) </title><svg onload=alert(1)>"
)


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        """Text in the element that began last."""
        self.texts.append((self._open, data))

    def contents(self, tag: str) -> list[str]:
        """The text of each element of a kind that holds nothing else."""
        return [text for open_, text in self.texts if open_ == tag and text.strip()]

    @property
    def text(self) -> str:
        """All that can be read."""
        shown = [text for tag, text in self.texts if tag not in ("script", "style")]
        return " ".join(" ".join(shown).split())

    @property
    def data(self) -> dict[str, Any]:
        """What the scripts draw."""
        (told,) = [text for text in self.contents("script") if text.startswith("{")]
        parsed: dict[str, Any] = json.loads(told)
        return parsed


def page_of(item: Analyzed) -> Page:
    """The page of a run."""
    return Page(render(item))


def single_threaded() -> Analyzed:
    """A run with a cause, a symptom and a profile."""
    samples = make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16))
    return analyzed(make_run(samples=samples, profiles=(make_profile(),)))


class TestContent:
    """What is wrong, how sure, what to do next; then the rest."""

    def test_the_cause_is_the_title(self) -> None:
        item = single_threaded()
        page = page_of(item)
        (title,) = page.contents("h1")
        assert title.rstrip(".").lower() == item.findings[0].claim.lower()
        assert "Do next" in page.text
        assert "how often this rule is right was not measured" in page.text

    def test_measured_confidence_is_told(self) -> None:
        found = replace(make_finding("low_cpu"), measured="right in 29 of 30 runs")
        assert page_of(analyzed(make_run(), [found])).text.count("right in 29 of 30 runs") == 2

    def test_a_healthy_server(self) -> None:
        page = page_of(analyzed(make_run(), [make_finding("errors", Verdict.CLEAR)]))
        assert page.contents("h1") == ["Nothing found."]
        assert "1 possible findings were ruled out" in page.text

    def test_figures_that_are_not_to_be_quoted(self) -> None:
        found = make_finding("host_noisy", kind=Kind.VALIDITY)
        assert "The measurement is not valid" in page_of(analyzed(make_run(), [found])).text

    def test_figures_lead_to_their_chart(self) -> None:
        rows = (
            Evidence("growth", 900 * MIB, "bytes", 16 * MIB, "samples.jsonl"),
            Evidence("accept_queue", 12, "", 1, "samples.jsonl"),
            Evidence("share", 0.4, "ratio", 0.1, "profiles/perf-1.folded"),
            Evidence("whatever", 1, "", None, "run.json"),
        )
        item = analyzed(upload_run(growth=900 * MIB), [make_finding("low_cpu", evidence=rows)])
        links = [a for tag, a in page_of(item).elements if tag == "a" and a.get("class") == "show"]
        assert [link["data-chart"] for link in links] == ["memory", "sockets"]
        begin, end = map(float, str(links[0]["data-span"]).split(","))
        assert 0 < begin < end

    def test_the_command_and_the_machine(self) -> None:
        text = page_of(analyzed(make_run(host=make_host(8)))).text
        assert "diagnose run baseline -c 64" in text
        assert "server on CPUs 0-3" in text
        assert "Example CPU, 8 cores" in text

    def test_code_in_a_sentence(self) -> None:
        found = make_finding("low_cpu", next_step="run `nproc <x>` now; a ` alone")
        odd = render(analyzed(make_run(), [found])).decode()
        assert "Run `nproc &lt;x&gt;` now; a ` alone." in odd
        even = replace(found, next_step="run `nproc <x>` now")
        assert (
            "Run <code>nproc &lt;x&gt;</code> now." in render(analyzed(make_run(), [even])).decode()
        )

    def test_slices_are_told_of(self) -> None:
        page = page_of(analyzed(make_run(profiles=(sliced(),))))
        assert "limits it to that stretch" in page.text
        assert len(page.data["profiles"][0]["slices"]) == 2

    @pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
    def test_a_run_that_was_cut_off(self, state: str) -> None:
        page = page_of(analyzed(empty_run(state=state)))
        assert "Partial run" in page.text
        assert page.data["charts"] == []

    def test_a_failed_launch_shows_the_log(self) -> None:
        end = ServerEnd(1, "launch", 101.0, ("Traceback", "KeyError: 'PORT'"))
        assert "KeyError: 'PORT'" in page_of(analyzed(empty_run(end=end, state="failed"))).text


class TestSafety:
    """Nothing is fetched, nothing of a server is executed."""

    def test_scripts_and_styles_are_those_of_the_policy(self) -> None:
        page = page_of(single_threaded())
        policies = [a["content"] for tag, a in page.elements if "http-equiv" in a]
        policy = str(policies[0])
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "http" not in policy
        scripts = [text for text in page.contents("script") if not text.startswith("{")]
        styles = page.contents("style")
        assert (len(scripts), len(styles)) == (2, 2)
        for text in (*scripts, *styles):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy

    def test_nothing_is_fetched(self) -> None:
        for tag, attributes in page_of(single_threaded()).elements:
            assert tag not in ("iframe", "object", "embed", "form", "base", "img")
            assert "src" not in attributes
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            href = attributes.get("href")
            assert href is None or href.startswith("#") or href == "data:,"

    @pytest.mark.parametrize("text", [HOSTILE, ESCAPES])
    def test_what_a_server_says_is_text(self, text: str) -> None:
        plain, hostile = page_of(everywhere("plain")), page_of(everywhere(text))
        assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
        assert [sorted(a) for _, a in hostile.elements] == [sorted(a) for _, a in plain.elements]

    def test_hostile_text_can_be_read(self) -> None:
        assert "<img src=x onerror=alert(1)>" in page_of(everywhere(HOSTILE)).text

    def test_data_does_not_end_its_element(self) -> None:
        page = render(everywhere(HOSTILE)).decode()
        (data,) = re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)
        assert "<" not in data
        assert any(HOSTILE in name for name in json.loads(data)["names"])

    def test_no_control_character_is_left(self) -> None:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page_of(everywhere(ESCAPES)).text)


class TestLength:
    """Three megabytes are never passed: detail goes first."""

    def test_a_usual_report_is_short(self) -> None:
        assert len(render(single_threaded())) < 500_000

    def test_endless_text_is_cut(self) -> None:
        assert len(render(everywhere("x" * 1_000_000))) < MOST_BYTES

    def test_detail_goes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        item = analyzed(make_run(ticks=make_ticks(workers=2)))
        whole = len(render(item))
        monkeypatch.setattr(html, "MOST_BYTES", whole - 1)
        less = Page(render(item)).data
        assert max(len(chart["t"]) for chart in less["charts"]) <= 120

    def test_what_cannot_fit_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(html, "MOST_BYTES", 1000)
        with pytest.raises(html.ReportTooLong, match="--format markdown"):
            render(single_threaded())


def test_the_libraries_are_the_pinned_ones() -> None:
    """The bundle names the versions of what went in, with their licenses."""
    bundle = next(text for text in page_of(single_threaded()).contents("script") if "uPlot" in text)
    assert "uplot 1.6.32 (MIT)" in bundle
    assert "d3-flame-graph 5.0.0 (Apache-2.0)" in bundle
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in bundle
