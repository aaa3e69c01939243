"""The report as somebody sees it: in a real browser, on a desk, on a phone, on paper."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from commandline import Answer

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.xdist_group("village"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
# As root Chromium has no sandbox; and nothing here may ask the network for anything.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def opened(browser: Browser, village: tuple[Path, Answer], size: dict, **options: object) -> Page:
    page = browser.new_page(viewport=size, **options)  # type: ignore[arg-type]
    page.complaints = []  # type: ignore[attr-defined]
    page.on("console", lambda message: page.complaints.append(message.text))  # type: ignore[attr-defined]
    page.on("request", lambda request: page.complaints.append(request.url))  # type: ignore[attr-defined]
    page.goto((village[0] / "report.html").as_uri())
    return page


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_is_wider_than_the_screen_and_nothing_is_fetched(
    browser: Browser, village: tuple[Path, Answer], size: dict
) -> None:
    page = opened(browser, village, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.complaints == [(village[0] / "report.html").as_uri()]  # type: ignore[attr-defined]
    page.close()


def test_a_reader_chooses_the_language(browser: Browser, village: tuple[Path, Answer]) -> None:
    page = opened(browser, village, DESK)
    for language, label, word in (("en", "English", "Household 01"), ("ko", "한국어", "이웃")):
        page.locator("label", has_text=label).click()
        assert page.evaluate("document.documentElement.lang") == language
        seen = page.locator("main").inner_text()
        assert word in seen
        assert ("What each participant pays" in seen) == (language == "en")
    page.close()


def test_without_scripts_the_page_still_tells_everything(
    browser: Browser, village: tuple[Path, Answer]
) -> None:
    page = opened(browser, village, DESK, java_script_enabled=False)
    page.locator("label", has_text="English").click()
    assert "What each participant pays" in page.locator("main").inner_text()
    page.close()


def test_every_drawing_has_a_table_with_its_numbers(
    browser: Browser, village: tuple[Path, Answer]
) -> None:
    page = opened(browser, village, DESK)
    page.locator("label", has_text="English").click()
    tables = page.locator("details:visible")
    assert tables.count() >= 3
    for index in range(tables.count()):
        tables.nth(index).locator("summary").click()
        assert tables.nth(index).locator("td").count() > 10
    page.close()


def test_it_prints_on_a_few_pages(browser: Browser, village: tuple[Path, Answer]) -> None:
    page = opened(browser, village, DESK)
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert 1 <= pdf.count(b"/Type /Page\n") <= 12
    page.close()
