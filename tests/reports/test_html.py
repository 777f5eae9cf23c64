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

from diagnose.model.experiment import Outcome
from diagnose.model.finding import Evidence, Kind, Verdict
from diagnose.model.investigated import Decided
from diagnose.model.profile import ProfileNote
from diagnose.model.report import Analyzed
from diagnose.model.run import ServerEnd
from diagnose.reports import html
from diagnose.reports.html import ALONE, MOST_BYTES, Beside, render
from tests.builders import (
    MIB,
    empty_run,
    make_finding,
    make_host,
    make_load,
    make_profile,
    make_run,
    make_samples,
    make_ticks,
    make_waits,
    one_thread,
    upload_run,
)
from tests.reports.screens import (
    ESCAPES,
    analyzed,
    decided,
    everything_beside,
    everywhere,
    investigated,
)
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


def page_of(item: Analyzed, beside: Beside = ALONE) -> Page:
    """The page of a run."""
    return Page(render(item, beside))


def all_of(text: str) -> Page:
    """The page with every part that there is, and `text` in all of them."""
    return page_of(everywhere(text), everything_beside(text))


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
        assert "1 possible finding was ruled out" in page.text

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


class TestExperiments:
    """What was predicted, what was seen, and what that says of the verdict."""

    def page(self, *decisions: Decided) -> Page:
        return page_of(single_threaded(), Beside(investigated(*decisions)))

    def test_prediction_outcome_and_effect_stand_together(self) -> None:
        text = self.page(decided()).text
        for part in ("confirmed", "one core, then all", "no faster", "1.02x of 2x", "up to 2x"):
            assert part in text
        assert "no experiment decides it" in text
        assert "Remark." in text

    def test_a_confirmed_cause_is_the_verdict(self) -> None:
        page = self.page(decided("gil_bound"))
        assert page.contents("h1") == ["One thread does the work."]
        assert "Confirmed by experiment." in page.text
        assert "how often this rule is right was not measured" not in page.text

    def test_a_refuted_cause_is_not(self) -> None:
        item = analyzed(make_run(), [make_finding("gil_bound"), make_finding("debug_mode")])
        refuted = Beside(investigated(decided("gil_bound", Outcome.REFUTED)))
        page = page_of(item, refuted)
        assert page.contents("h1") == ["What debug_mode says."]
        assert "By experiment" in page.text
        assert "had it been the cause: no faster" in page.text

    def test_when_nothing_is_left_it_is_said(self) -> None:
        item = analyzed(make_run(), [make_finding("gil_bound")])
        page = page_of(item, Beside(investigated(decided("gil_bound", Outcome.REFUTED))))
        assert page.contents("h1") == ["What was suspected was refuted by experiment"]
        (verdict,) = [a for _, a in page.elements if a.get("id") == "verdict"]
        assert verdict["class"] == "verdict good"

    def test_without_an_investigation_there_is_no_such_part(self) -> None:
        assert "Experiments" not in page_of(single_threaded()).text


class TestWaits:
    """Who waits, on what, called from where."""

    LOCKED = "pool_1;app (/srv/app.py:4);locked (/srv/app.py:9);futex_do_wait"
    RESTING = "pool_2;[at rest];app (/srv/app.py:4);futex_do_wait"

    def page(self) -> Page:
        waits = (make_waits({self.LOCKED: 60, self.RESTING: 40}),)
        return page_of(analyzed(make_run(waits=waits)))

    def test_the_table(self) -> None:
        text = self.page().text
        assert "3.00 pool a lock or an empty queue locked (app.py:9)" in text
        assert "A mean of 2.00 threads had nothing to do" in text

    def test_the_flame_graph_of_waits_needs_no_other(self) -> None:
        (told,) = self.page().data["profiles"]
        assert (told["kind"], told["unit"], told["each"]) == ("off-cpu", "threads", 1 / 20)

    def test_nobody_was_held_up(self) -> None:
        text = page_of(analyzed(make_run(waits=(make_waits({self.RESTING: 40}),)))).text
        assert "No thread was held up" in text

    def test_why_nobody_looked(self) -> None:
        note = ProfileNote("perf", 7, "native", 0, 0, 0, "", "perf is not installed")
        run = make_run()
        run = replace(run, manifest=replace(run.manifest, waits=(note,)))
        assert "perf is not installed" in page_of(analyzed(run)).text


class TestDifference:
    """Against another run: figures, functions, and the flame graph of both."""

    def page(self) -> Page:
        def run(stacks: dict[str, int], responses: int) -> Analyzed:
            load = make_load(ok=responses, responses=responses)
            return analyzed(make_run(load=load, profiles=(make_profile(stacks),)))

        base = run({"main;parse": 300, "main;send": 300}, 5000)
        return page_of(run({"main;parse": 900, "main;log": 100}, 2500), Beside(base=base))

    def test_figures_and_functions(self) -> None:
        text = self.page().text
        assert "throughput 1,000/s 500/s 0.50x worse" in text
        assert re.search(r"grew \+[\d.]+ . [\d.]+ [\d.]+ parse", text)
        assert re.search(r"disappeared -[\d.]+ . [\d.]+ [\d.]+ send", text)

    def test_the_flame_graph_has_both_sides(self) -> None:
        page = self.page()
        told = page.data["profiles"][-1]
        names = page.data["names"]
        rows = {
            names[stack[-1]]: (before, now)
            for stack, before, now in zip(told["stacks"], told["before"], told["now"], strict=True)
        }
        assert told["kind"] == "difference"
        assert rows["send"][1] == rows["log"][0] == 0
        assert rows["parse"][1] > rows["parse"][0] > 0
        assert told["counts"] == [max(pair) for pair in rows.values()]

    def test_profiles_that_cannot_be_compared(self) -> None:
        page = page_of(single_threaded(), Beside(base=analyzed(make_run())))
        assert "The profiles cannot be compared: the base has 0 samples" in page.text


class TestWork:
    """What CPU time went into."""

    def test_kinds_with_their_share(self) -> None:
        dumps = "dumps (/usr/lib/python3.11/json/__init__.py:3)"
        stacks = {f"main;handle (app.py:2);{dumps}": 80, "main": 20}
        page = page_of(analyzed(make_run(profiles=(make_profile(stacks),))))
        assert "serialization 80.0%" in page.text
        bars = [a for tag, a in page.elements if tag == "rect" and a["height"] == "8"]
        assert "80.0" in [bar["width"] for bar in bars]

    def test_what_held_memory(self) -> None:
        profile = make_waits({"main;keep (/srv/app.py:3)": 5 * MIB}, kind="memory", unit="bytes")
        run = replace(make_run(), memory_profiles=(profile,))
        assert "5.0 MiB keep (app.py:3)" in page_of(analyzed(run)).text


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
        plain, hostile = all_of("plain"), all_of(text)
        assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
        assert [sorted(a) for _, a in hostile.elements] == [sorted(a) for _, a in plain.elements]

    def test_hostile_text_can_be_read(self) -> None:
        assert "<img src=x onerror=alert(1)>" in all_of(HOSTILE).text

    def test_data_does_not_end_its_element(self) -> None:
        page = render(everywhere(HOSTILE), everything_beside(HOSTILE)).decode()
        (data,) = re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)
        assert "<" not in data
        assert any(HOSTILE in name for name in json.loads(data)["names"])

    def test_no_control_character_is_left(self) -> None:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", all_of(ESCAPES).text)


class TestLength:
    """Three megabytes are never passed: detail goes first."""

    def test_a_usual_report_is_short(self) -> None:
        assert len(render(single_threaded())) < 500_000

    def test_endless_text_is_cut(self) -> None:
        endless = "x" * 1_000_000
        assert len(render(everywhere(endless), everything_beside(endless))) < MOST_BYTES

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
