"""From a prompt file to its card, as a person sees it: Dagster's UI in a real Chromium, the real sensor, real runs.

The documents, their ids and sources try to be markup, so that the same run shows that nothing of them is ever run.
Waiting is generous: a machine with other work needs several times the minute that a quiet one does.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
import zstandard
from playwright.sync_api import Browser, Page, expect

from datashop_assets.graph import GRAPH
from datashop_assets.storage.shards import read_rows
from datashop_assets_tests.conftest import free_port
from datashop_assets_tests.small import small_pool, write_prompt
from datashop_assets_tests.ui.attacks import EVIL, WAYS, another_site
from datashop_assets_tests.ui.attacks import SCRIPT as ATTACKS
from datashop_assets_tests.ui.conftest import SHOTS, chromium_path, shot
from resources.annotator.embedded import EmbeddedAnnotator

pytestmark = [pytest.mark.ui, pytest.mark.timeout(1500)]
SLUG, OTHER = "tides", "waves"
PATIENCE = 1200.0  # seconds for a run of the small graph; 60 on two quiet cores
SCRIPT = "<script>document.title='run'</script>"
RUNS = "{ runsOrError { ... on Runs { results { status tags { key value } assetSelection { path } } } } }"
CARDS_MADE = """{ assetOrError(assetKey: {path: ["data_card"]}) {
  ... on Asset { assetMaterializations { runId timestamp } } } }"""
PARTITIONS = '{ assetNodeOrError(assetKey: {path: ["data_card"]}) { ... on AssetNode { partitionKeys } } }'


@dataclass(frozen=True)
class Ui:
    """Dagster's UI and the cards beside it."""

    address: str
    cards: str
    prompts: Path
    pool: str
    log: Path

    def asks(self, query: str) -> Any:
        asked = urllib.request.Request(
            f"{self.address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)["data"]

    def wait(self, what: Any, seconds: float) -> Any:
        """What `what` returns once it is true. The log's end is shown where it never is."""
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, f"not within {seconds} s:\n{self.log.read_text()[-3000:]}"
            time.sleep(1)
        return found

    def partitions(self) -> list[str]:
        found: list[str] = self.asks(PARTITIONS)["assetNodeOrError"]["partitionKeys"]
        return found

    def finished(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.asks(RUNS)["runsOrError"]["results"]
        assert not [run for run in runs if run["status"] == "FAILURE"], self.log.read_text()[-3000:]
        return [run for run in runs if run["status"] == "SUCCESS"]


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    place = tmp_path_factory.mktemp("ui")
    for folder in ("prompts", "pool"):
        (place / folder).mkdir()
    port = free_port()
    log = place / "log"
    environment = {
        **os.environ,
        "DATASHOP_ROOT": str(place / "root"),
        "DATASHOP_PROMPTS": str(place / "prompts"),
        "DAGSTER_HOME": str(place / "home"),
    }
    command = [str(Path(sys.executable).with_name("datashop")), "ui", "--port", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, process_group=0)
    made = Ui(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", place / "prompts", hostile_pool(place), log)
    try:
        made.wait(lambda: answers(made), 300)
        yield made
    finally:
        services = children(server.pid)
        server.send_signal(signal.SIGTERM)  # as `kill` does, to this process alone
        assert server.wait(90) == 128 + signal.SIGTERM
        assert len(services) >= 6, "a supervisor and a command for each of the three services"
        assert not [one for one in services if Path(f"/proc/{one}").exists()]
        assert "Traceback" not in log.read_text().rpartition("Stopped")[2]


def children(process: int) -> list[int]:
    """All processes below one."""
    listed = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False).stdout.split()
    return [int(one) for one in listed] + [below for one in listed for below in children(int(one))]


def answers(ui: Ui) -> bool:
    try:
        return bool(ui.asks("{ version }"))
    except OSError:
        return False


def hostile_pool(place: Path) -> str:
    """The small pool, a third of whose texts, ids and sources try to be markup."""
    glob = small_pool(place / "pool", place / "cache")
    for file in sorted((place / "pool").iterdir()):
        rows = list(read_rows(file.name, io.BytesIO(file.read_bytes())))
        for row in rows[::3]:
            row |= {
                "id": f"{row['id']} {SCRIPT}",
                "text": f"{SCRIPT} </script></style>{row['text']}",
                "source": f"{row['source']}<img src=x onerror=\"document.title='run'\">",
            }
        file.write_bytes(zstandard.compress(b"".join(orjson.dumps(row) + b"\n" for row in rows)))
    return glob


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
    page.get_by_role("button", name=re.compile("^Materialize all")).click(timeout=60_000)
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


def test_a_resource_shows_type_fields_and_descriptions(ui: Ui, page: Page) -> None:
    page.goto(f"{ui.address}/locations/__repository__@datashop/resources/annotator")
    expect(page.get_by_text("EmbeddedAnnotator").first).to_be_visible(timeout=60_000)
    text = page.locator("body")
    for name, field in EmbeddedAnnotator.model_fields.items():
        expect(text).to_contain_text(name)
        expect(text).to_contain_text(str(field.description)[:40])
    shot(page, "resource")


LAUNCH = """async ([every, key]) => {
  const query = `mutation($parameters: ExecutionParams!) { launchPipelineExecution(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId runConfigYaml } } } }`;
  const selector = {repositoryName: "__repository__", repositoryLocationName: "datashop", pipelineName: "datashop",
    assetSelection: [{path: ["rubric"]}], assetCheckSelection: []};
  const parameters = {selector, mode: "default", runConfigData: {resources: {progress: {config: {every}}}},
    executionMetadata: {tags: [{key: "dagster/partition", value: key}]}};
  const answer = await fetch("/graphql", {method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({query, variables: {parameters}})});
  return (await answer.json()).data.launchPipelineExecution;
}"""


def test_a_run_is_launched_with_a_value_for_a_resource(ui: Ui, page: Page) -> None:
    """What the launchpad sends, from a page of the UI; the run's page then gets its events by a websocket."""
    page.goto(f"{ui.address}/runs")
    refused = page.evaluate(LAUNCH, ["often", OTHER])
    assert refused["__typename"] == "RunConfigValidationInvalid"
    before = len(ui.finished())
    answer = page.evaluate(LAUNCH, [2.5, OTHER])
    assert answer["__typename"] == "LaunchRunSuccess"
    assert yaml.safe_load(answer["run"]["runConfigYaml"])["resources"]["progress"]["config"]["every"] == 2.5
    with page.expect_websocket(lambda socket: socket.url.endswith("/graphql")) as opened:
        page.goto(f"{ui.address}/runs/{answer['run']['runId']}")
    opened.value.wait_for_event("framereceived", timeout=60_000)
    expect(page.get_by_text("RUN_START").first).to_be_visible(timeout=60_000)
    ui.wait(lambda: len(ui.finished()) > before, 300)


@pytest.mark.parametrize("host", ["127.0.0.1", EVIL])
def test_a_page_of_another_origin_launches_and_wipes_nothing(ui: Ui, chromium: Browser, host: str) -> None:
    arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"]
    runs, partitions = ui.asks(RUNS), ui.partitions()
    cards = ui.asks(CARDS_MADE)
    assert cards["assetOrError"]["assetMaterializations"]
    browser = chromium.browser_type.launch(executable_path=chromium_path(), args=arguments)
    try:
        with another_site() as port:
            page = browser.new_page()
            page.goto(f"http://{host}:{port}/")
            tried = page.evaluate(ATTACKS, ui.address)
            assert tried["websocket"] == "refused"
            assert tried["post-json"] == "refused"
            for address in (ui.address, ui.cards):  # a name of the attacker's that leads here
                answer = page.goto(address.replace("127.0.0.1", EVIL))
                assert answer is not None
                assert answer.status == 421
            page.goto(f"http://{host}:{port}/")
            page.evaluate("address => { document.body.innerHTML = `<iframe src=${address}></iframe>` }", ui.cards)
            page.wait_for_timeout(1000)
            assert [frame.url for frame in page.frames[1:]] != [f"{ui.cards}/"]
    finally:
        browser.close()
    assert not set(ui.partitions()) & set(WAYS)
    assert (ui.asks(RUNS), ui.partitions(), ui.asks(CARDS_MADE)) == (runs, partitions, cards)


def test_a_page_of_the_ui_can_do_what_the_other_tried(ui: Ui, page: Page) -> None:
    """Else the attacks above might fail for another reason than where they come from."""
    page.goto(f"{ui.address}/runs")
    tried = page.evaluate(ATTACKS, ui.address)
    assert tried["websocket"] == "open"
    assert {"post-json", "post-graphql"} <= set(ui.partitions())
    assert not {"get", "post-address", "post-form", "image", "script"} & set(
        ui.partitions()
    )  # addresses change nothing
