"""From a prompt file to its card, as a person sees it: Dagster's UI in a real Chromium, the real sensor, real runs.

The documents, their ids and sources try to be markup, so that the same run shows that nothing of them is ever run.
Waiting is generous: a machine with other work needs several times the minute that a quiet one does.
"""

import re

import pytest
import yaml
from playwright.sync_api import Page, expect

from datashop_assets.graph import GRAPH
from datashop_assets_tests.small import write_prompt
from datashop_assets_tests.ui.conftest import SHOTS, shot
from datashop_assets_tests.ui.running import RUNS, SCRIPT, Ui

pytestmark = [pytest.mark.ui, pytest.mark.timeout(1500)]
SLUG, OTHER = "tides", "waves"
PATIENCE = 1200.0  # seconds for a run of the small graph; 60 on two quiet cores


def test_a_prompt_file_becomes_a_partition_a_run_and_a_card(ui: Ui, page: Page) -> None:
    page.goto(f"{ui.address}/asset-groups")
    expect(page.get_by_text("6_card").first).to_be_visible(timeout=120_000)
    write_hostile_prompt(ui)
    ui.wait(lambda: SLUG in ui.partitions(), 300)
    page.goto(f"{ui.address}/assets/data_card?view=partitions")
    expect(page.get_by_text(SLUG).first).to_be_visible(timeout=60_000)
    shot(page, "partition")
    ui.wait(lambda: ui.asks(RUNS)["runsOrError"]["results"], 300)
    page.goto(f"{ui.address}/runs")
    expect(page.get_by_text(SLUG).first).to_be_visible(timeout=60_000)
    shot(page, "run-by-sensor")
    ui.wait(ui.finished, PATIENCE)
    expect(page.get_by_text("Success").first).to_be_visible(timeout=60_000)  # the page looks again by itself
    shot(page, "run-finished")


def test_lineage_reads_like_the_pipeline(ui: Ui, page: Page) -> None:
    page.set_viewport_size({"width": 1900, "height": 1080})
    page.goto(f"{ui.address}/asset-groups")
    groups = page.get_by_text(re.compile(r"^[1-6]_[a-z_]+$"))
    expect(groups.first).to_be_visible(timeout=60_000)
    assert list(dict.fromkeys(text[0] for text in groups.all_inner_texts())) == list("123456")
    page.keyboard.press("Alt+e")  # all groups open; what is out of sight is not in the page
    expect(page.get_by_text(re.compile("^(encoder|filtered_pool|trained_lm|data_card)$")).first).to_be_visible()
    page.get_by_role("button", name="zoom_out").click()
    page.wait_for_timeout(1000)
    shot(page, "lineage")


def test_every_asset_leads_to_the_card_of_its_prompt(ui: Ui, page: Page) -> None:
    page.goto(f"{ui.address}/assets/encoder?partition={SLUG}&view=partitions")
    link = page.locator("a[href$='/card.html']").first
    expect(link).to_have_attribute("href", f"{ui.cards}/{SLUG}/card.html", timeout=60_000)
    shot(page, "asset")


def test_the_card_opens_from_its_asset_and_runs_nothing(ui: Ui, page: Page) -> None:
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(f"{ui.address}/assets/data_card?partition={SLUG}&view=partitions")
    link = page.locator("a[href$='/card.html']").first
    expect(link).to_be_visible(timeout=60_000)
    page.goto(link.get_attribute("href") or "")
    page.on("console", lambda message: said.append(message.text))
    expect(page.locator("h1")).to_have_text(f"Tides {SCRIPT}")
    assert page.locator("script, img[onerror], img[src=x]").count() == 0
    assert page.title() != "run"
    shot(page, "card")
    page.emulate_media(color_scheme="dark")
    shot(page, "card-dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "card-phone")
    page.pdf(path=SHOTS / "card-print.pdf", format="A4")
    page.goto(page.url.replace("card.html", "documents.html"))
    expect(page.locator("#count")).to_contain_text("of 1,000 documents", timeout=30_000)
    page.locator("input[name=words]").fill("<script>")
    expect(page.locator("#one pre").first).to_contain_text(SCRIPT)
    assert page.title() != "run"
    assert not said


def test_one_asset_is_materialized_again(ui: Ui, page: Page) -> None:
    before = len(ui.finished())
    page.goto(f"{ui.address}/assets/data_card?partition={SLUG}&view=partitions")
    page.get_by_role("button", name=re.compile("Materialize")).first.click(timeout=60_000)
    page.get_by_role("dialog").first.get_by_role("button", name="Launch 1 run").click()
    ui.wait(lambda: len(ui.finished()) > before, 300)
    newest = ui.finished()[0]
    assert newest["assetSelection"] == [{"path": ["data_card"]}]


def test_a_new_prompt_is_launched_in_three_clicks(ui: Ui, page: Page) -> None:
    ready = write_prompt(ui.prompts.parent / "ready", OTHER, ui.pool, keep={"fraction": 0.3})
    ready.rename(ui.prompts / ready.name)  # not automatic: it waits for a person
    ui.wait(lambda: OTHER in ui.partitions(), 300)
    before = len(ui.finished())
    page.goto(ui.cards)
    shot(page, "prompts")
    page.get_by_role("row", name=OTHER).get_by_role("link", name="in Dagster").click()
    page.get_by_role("button", name="Materialize all").click(timeout=60_000)  # its icon has a name too
    launch = page.get_by_role("dialog").first.get_by_role("button", name="Launch 1 run")
    expect(launch).to_be_enabled(timeout=60_000)
    page.wait_for_timeout(1000)  # until the dialog stands still
    shot(page, "materialize")
    launch.click()
    ui.wait(lambda: len(ui.finished()) > before, PATIENCE)
    newest = ui.finished()[0]
    assert {tag["key"]: tag["value"] for tag in newest["tags"]}["dagster/partition"] == OTHER
    assert {asset["path"][0] for asset in newest["assetSelection"]} == {stage.name for stage in GRAPH}


def test_finished_prompts_are_compared_by_an_asset(ui: Ui, page: Page) -> None:
    before = len(ui.finished())
    page.goto(f"{ui.address}/assets/prompts_compared?view=events")
    page.get_by_role("button", name=re.compile("Materialize")).first.click(timeout=60_000)
    ui.wait(lambda: len(ui.finished()) > before, 300)
    page.reload()
    page.get_by_text("[Show Markdown]").first.click(timeout=60_000)
    expect(page.get_by_role("dialog").get_by_text(f"{SLUG} and {OTHER} on one pool of 1,000 documents")).to_be_visible()
    page.wait_for_timeout(1000)
    shot(page, "prompts-compared")


def write_hostile_prompt(ui: Ui) -> None:
    """A prompt file that starts by itself. It is moved in place, as an editor would do it."""
    ready = write_prompt(ui.prompts.parent / "ready", SLUG, ui.pool)
    fields = yaml.safe_load(ready.read_text())
    fields |= {"automatic": True, "name": f"Tides {SCRIPT}", "about": "</title><script>document.title='run'</script>"}
    ready.write_text(yaml.safe_dump(fields))
    ready.rename(ui.prompts / ready.name)
