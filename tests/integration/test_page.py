"""The HTML report in a real browser: it opens, fetches nothing, obeys the mouse and the keyboard,
and executes nothing that a server said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from diagnose.model.experiment import Outcome
from diagnose.model.profile import Profile
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.reports.html import ALONE, Beside, render
from tests.builders import make_profile, make_run, make_samples, make_waits, one_thread
from tests.integration.conftest import program
from tests.reports.screens import (
    analyzed,
    decided,
    everything_beside,
    everywhere,
    investigated,
)
from tests.reports.test_flame import sliced
from tests.reports.test_html import HOSTILE

pytestmark = pytest.mark.integration

PATIENCE_MS = 10_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    path = program("chromium")
    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers do not give; only our own file is opened.
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """A report in a tab, with all that went wrong in it."""

    def __init__(self, page: Page, path: Path, item: Analyzed, beside: Beside = ALONE) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        path.write_bytes(render(item, beside))
        self.address = path.as_uri()
        page.goto(self.address)

    def frames(self) -> set[str]:
        """The frames of the flame graph that have a width."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll("#flame-plot g")]
                .filter((g) => +g.getAttribute("width") > 0).map((g) => g.getAttribute("name"))"""
        )
        return set(found)

    def check(self) -> None:
        """Nothing was complained of, and nothing but the file was asked for."""
        assert self.complaints == []
        assert self.requests == [self.address]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> Iterator[Opened]:
    """The report of a single-threaded server whose profile has slices at 10 to 12 s."""
    samples = make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16))
    tab = Opened(
        page,
        tmp_path / "report.html",
        analyzed(make_run(samples=samples, profiles=(sliced(),))),
    )
    yield tab
    tab.check()


def test_nothing_that_a_server_says_is_executed(page: Page, tmp_path: Path) -> None:
    beside = everything_beside(HOSTILE)
    tab = Opened(page, tmp_path / "report.html", everywhere(HOSTILE), beside)
    for element in page.locator("summary").all():
        element.click()
    profiles = page.locator("#process option").count()
    assert profiles == 5
    for number in range(profiles):
        page.select_option("#process", index=number)
        page.locator("#flame-plot g").last.hover()
        page.fill("#search", "")
        page.fill("#search", HOSTILE)
        page.wait_for_function(
            "document.getElementById('flame-status').textContent.includes('match')"
        )
        assert "no frame" not in str(page.text_content("#flame-status"))
    for part in ("#experiments", "#waits", "#difference", "#held", "#flame table"):
        assert HOSTILE in str(page.locator(part).first.text_content())
    assert page.locator("img, iframe, form").count() == 0
    tab.check()


def test_a_script_of_another_is_refused(page: Page, tmp_path: Path) -> None:
    """The policy is seen to work: what would be executed without it is not."""
    item = analyzed(make_run())
    path = tmp_path / "report.html"
    added = b"<script>document.title = 'taken'</script><img src=http://127.0.0.1:9/x></body>"
    tab = Opened(page, path, item)
    path.write_bytes(render(item).replace(b"</body>", added))
    page.reload()
    assert page.title() != "taken"
    assert any("Content Security Policy" in text for text in tab.complaints)


def test_the_brush_changes_the_flame_graph(opened: Opened) -> None:
    page = opened.page
    assert {"parse", "write"} <= opened.frames()
    chart = page.locator("#chart-throughput .u-over")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    # The run lasts 11 s; the first slice, 0 to 1 s, is all in the first tenth.
    page.mouse.move(box["x"] + 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 10, box["y"] + 40, steps=5)
    page.mouse.up()
    page.wait_for_function("document.getElementById('flame-status').textContent.includes('60 ')")
    assert "parse" in opened.frames()
    assert "write" not in opened.frames()
    # Every chart shows the stretch.
    widths = page.evaluate(
        """() => [...document.querySelectorAll(".u-select")].map((part) => part.offsetWidth)"""
    )
    assert min(widths) > 20
    page.click("#whole")
    assert {"parse", "write"} <= opened.frames()


def test_the_keyboard_selects_and_goes_back(opened: Opened) -> None:
    page = opened.page
    before = page.text_content("#stretch")
    page.focus("#chart-throughput .plot")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.mouse.move(5, 5)
    assert page.is_enabled("#zoom")
    page.keyboard.press("z")
    page.keyboard.press("Escape")
    assert page.is_disabled("#zoom")
    assert page.text_content("#stretch") == before


def test_search_finds_a_frame(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("/")
    page.keyboard.type("PARS")
    assert page.text_content("#flame-status") == "1 frame matches, 59.4 % of the samples"
    hit = page.locator('#flame-plot g[name="parse"] rect').get_attribute("fill")
    assert hit != page.locator('#flame-plot g[name="write"] rect').get_attribute("fill")
    page.fill("#search", "no such frame")
    assert page.text_content("#flame-status") == "no frame matches"


def test_zoom_and_inversion(opened: Opened) -> None:
    page = opened.page
    page.locator('#flame-plot g[name="parse"]').click()
    page.wait_for_function(
        """() => !(+document.querySelector('#flame-plot g[name="write"]')
            ?.getAttribute("width") > 0)"""
    )
    page.click("#unzoom")
    page.wait_for_selector('#flame-plot g[name="write"]')
    page.check("#bottom-up")
    # Leaves stand directly on the root, their callers beyond them: `main` has one frame for each.
    assert page.locator('#flame-plot g[name="main"]').count() == 3


def test_an_evidence_link_shows_its_chart(opened: Opened) -> None:
    page = opened.page
    link = page.locator("a.show").first
    chart = link.get_attribute("data-chart")
    link.click()
    assert "shown" in str(page.locator(f"#chart-{chart}").get_attribute("class"))
    assert "selected" in str(page.text_content("#stretch"))


@pytest.fixture
def proved(page: Page, tmp_path: Path) -> Iterator[Opened]:
    """The report of a server whose threads wait for a lock: investigated, and beside the run before
    its functions changed."""

    def run(stacks: dict[str, int], *waits: Profile) -> Run:
        return make_run(profiles=(make_profile(stacks),), waits=waits)

    asleep = make_waits(
        {
            "pool-1;app (/srv/app.py:4);locked (/srv/app.py:9);futex_do_wait": 60,
            "pool-2;[at rest];take (/srv/app.py:40);futex_do_wait": 20,
        }
    )
    now = run({"main;parse": 600, "main;log": 400}, asleep)
    base = analyzed(run({"main;parse": 600, "main;send": 400}))
    both = (decided(), decided("gil_bound", Outcome.REFUTED))
    tab = Opened(page, tmp_path / "report.html", analyzed(now), Beside(investigated(*both), base))
    yield tab
    tab.check()


def test_a_link_leads_to_the_flame_graph_of_waits(proved: Opened) -> None:
    page = proved.page
    assert "parse" in proved.frames()
    page.click("#waits a.show")
    assert {"(waiting)", "locked (app.py:9)", "futex_do_wait_[k]"} <= proved.frames()
    assert "parse" not in proved.frames()
    assert page.text_content("#flame-status") == "4.00 threads at once"
    assert "slept" in str(page.text_content("#flame-about"))
    # A hot frame is one of running threads.
    page.click("#flame details:last-of-type summary")
    page.click(".frame-link")
    assert "parse" in proved.frames()


def test_the_difference_is_told_by_color(proved: Opened) -> None:
    page = proved.page
    page.click("#difference a.show")
    assert {"parse", "log", "send"} <= proved.frames()

    def fill(frame: str) -> list[int]:
        color = page.locator(f'#flame-plot g[name="{frame}"] rect').get_attribute("fill")
        return [int(part) for part in re.findall(r"\d+", str(color))]

    red, blue, same = fill("log"), fill("send"), fill("parse")
    assert red[0] > same[0] - 40
    assert red[1] < same[1]
    assert blue[0] < same[0]
    assert page.is_visible("#change-keys")
    assert page.is_hidden("#frame-keys")
    page.locator('#flame-plot g[name="send"]').hover()
    assert "against the base" in str(page.text_content("#flame-status"))


def test_experiments_are_reached_from_the_verdict(proved: Opened) -> None:
    page = proved.page
    assert "Confirmed by experiment" in page.inner_text("#verdict")
    page.click("#verdict a.chip.refuted")
    assert page.url.endswith("#experiment-2")
    assert "1.02x of 2x possible" in page.inner_text("#experiment-2")
    assert "had it been the cause" in page.inner_text("#ruled-out")


def test_light_and_dark(opened: Opened) -> None:
    page = opened.page

    def ground() -> str:
        color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return color

    page.emulate_media(color_scheme="light")
    light = ground()
    page.emulate_media(color_scheme="dark")
    assert ground() != light
    page.click("#theme")
    assert ground() == light
