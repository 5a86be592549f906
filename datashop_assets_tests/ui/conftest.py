"""A real Chromium. Screenshots go to `test-artefacts/`, for a person to look at."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from datashop_assets_tests.ui.running import Ui, running_ui

SHOTS = Path(os.environ.get("DATASHOP_SCREENSHOTS", "test-artefacts"))


def chromium_path() -> str:
    """Debian's chromium, or the one that DATASHOP_CHROMIUM names."""
    path = os.environ.get("DATASHOP_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("no chromium: install it (`apt-get install chromium`), or name one in DATASHOP_CHROMIUM")
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    made = chromium.new_page(viewport={"width": 1280, "height": 860})
    yield made
    made.close()


@pytest.fixture(scope="session")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    with running_ui(tmp_path_factory.mktemp("ui")) as running:
        yield running


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
