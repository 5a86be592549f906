"""The browser of documents in a real Chromium: hostile texts stay text, 100,000 documents scroll without a stutter."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from datashop_assets.data_card import page as pages
from datashop_assets.data_card.documents import COLUMNS, LIMIT, Browsed
from datashop_assets_tests.data_card.cards import SCRIPT, browsable, card_run, prompt
from datashop_assets_tests.ui.conftest import shot

pytestmark = pytest.mark.ui
FRAME = 50  # milliseconds that a person notices


def opened(page: Page, place: Path, found: Browsed) -> list[str]:
    """Opens the page and waits until it has read its documents. Returns what goes to the console, from now on too."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: request.url.startswith("file:") or said.append(f"asked for {request.url}"))
    (place / "documents.html").write_text(pages.browser({"prompt": prompt()}, found.payload()))
    page.goto((place / "documents.html").as_uri())
    expect(page.locator("#count")).to_contain_text(" of ", timeout=60_000)
    return said


def test_documents_that_try_to_be_markup_stay_text(page: Page, tmp_path: Path) -> None:
    said = opened(page, tmp_path, browsable(card_run(tmp_path), 2))
    expect(page.locator("#count")).to_have_text("40 of 40 documents")
    expect(page.locator("#one pre").first).to_contain_text(SCRIPT)
    page.locator("select[name=status]").select_option(label="parsed")
    expect(page.locator("#count")).to_have_text("10 of 40 documents")
    expect(page.locator("#one")).to_contain_text(f"Score {SCRIPT}")  # the annotator's reply
    assert page.title() == f"Tides {SCRIPT}: documents"
    assert page.locator("img, script:not(#data)").count() == 1  # the page's own script
    assert not said


def test_filters_find_what_they_say(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, browsable(card_run(tmp_path), 2))
    count = page.locator("#count")
    page.locator("select[name=kept]").select_option("1")
    expect(count).to_have_text("20 of 40 documents")
    page.locator("input[name=most]").fill("0.75")
    page.locator("input[name=most]").press("Tab")
    expect(count).to_have_text("10 of 40 documents")
    page.locator("input[name=words]").fill("no such words")
    expect(count).to_have_text("0 of 40 documents")
    page.locator("input[name=words]").fill("")
    page.locator("select[name=kept]").select_option("")
    page.locator("input[name=most]").fill("")
    page.locator("input[name=apart]").fill("0.5")
    page.locator("input[name=apart]").press("Tab")
    expect(count).not_to_contain_text("40 of 40")


def test_the_arrow_keys_move_through_the_list(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, browsable(card_run(tmp_path), 2))
    first = page.locator("#one h3").first.inner_text()
    page.locator("#list").press("ArrowDown")
    expect(page.locator("#one h3").first).not_to_have_text(first)


def test_a_hundred_thousand_documents_do_not_stutter(page: Page, tmp_path: Path) -> None:
    text = "words of a document, some three hundred characters of them, as a lead of an article has. " * 4
    rows: list[dict[str, Any]] = [
        COLUMNS | {"id": f"d{n}", "score": (n * 7919 % LIMIT) / LIMIT, "text": f"{n} {text}", "source": "ab"[n % 2]}
        for n in range(LIMIT)
    ]
    said = opened(page, tmp_path, Browsed(rows, 3 * LIMIT))
    expect(page.locator("#count")).to_have_text("100,000 of 100,000 documents, a sample of 300,000")
    frames = page.evaluate(SCROLLED)
    assert page.locator("#list .row").count() < 60
    assert sorted(frames)[int(0.95 * len(frames))] < FRAME
    assert page.evaluate(FILTERED) < 1000
    shot(page, "documents-100000")
    assert not said


# Scrolls a page a frame for 120 frames; the milliseconds each frame's own work took.
SCROLLED = """async () => {
  const list = document.getElementById('list'), took = [];
  for (let turn = 0; turn < 120; turn++) {
    const started = performance.now();
    list.scrollTop += list.clientHeight * 3;
    list.dispatchEvent(new Event('scroll'));
    await new Promise((next) => requestAnimationFrame(next));
    const drawn = performance.now();
    list.getBoundingClientRect();
    document.querySelectorAll('#list .row').forEach((row) => row.offsetTop);
    took.push(performance.now() - drawn + Math.max(0, drawn - started - 17));
  }
  return took;
}"""
FILTERED = """() => {
  const select = document.querySelector('select[name=source]'), started = performance.now();
  select.value = '1';
  select.dispatchEvent(new Event('change', { bubbles: true }));
  return performance.now() - started;
}"""
