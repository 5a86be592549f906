"""What the UI lets a person do and a page of another site not: each in a real Chromium, on the real `datashop ui`."""

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from datashop_assets_tests.small import write_prompt
from datashop_assets_tests.ui.attacks import EVIL, WAYS, another_site
from datashop_assets_tests.ui.attacks import SCRIPT as ATTACKS
from datashop_assets_tests.ui.conftest import chromium_path, shot
from datashop_assets_tests.ui.running import RUNS, Ui
from resources.annotator.embedded import EmbeddedAnnotator

pytestmark = [pytest.mark.ui, pytest.mark.timeout(1500)]
SLUG = "currents"
MADE = """{ assetOrError(assetKey: {path: ["rubric"]}) {
  ... on Asset { assetMaterializations { runId timestamp } } } }"""


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
    assetSelection: [{path: ["rubric"]}]};
  const parameters = {selector, mode: "default", runConfigData: {resources: {progress: {config: {every}}}},
    executionMetadata: {tags: [{key: "dagster/partition", value: key}]}};
  const answer = await fetch("/graphql", {method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({query, variables: {parameters}})});
  return (await answer.json()).data.launchPipelineExecution;
}"""


def test_a_run_is_launched_with_a_value_for_a_resource(ui: Ui, page: Page) -> None:
    """What the launchpad sends, from a page of the UI; the run's page then gets its events by a websocket."""
    ready = write_prompt(ui.prompts.parent / "ready", SLUG, ui.pool)
    ready.rename(ui.prompts / ready.name)
    ui.wait(lambda: SLUG in ui.partitions(), 300)
    page.goto(f"{ui.address}/runs")
    refused = page.evaluate(LAUNCH, ["often", SLUG])
    assert refused["__typename"] == "RunConfigValidationInvalid"
    before = len(ui.finished())
    answer = page.evaluate(LAUNCH, [2.5, SLUG])
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
    made = ui.asks(MADE)
    assert made["assetOrError"]["assetMaterializations"]
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
            with page.expect_response(f"{ui.cards}/") as framed:
                page.evaluate("address => { document.body.innerHTML = `<iframe src=${address}></iframe>` }", ui.cards)
            assert framed.value.status == 403
    finally:
        browser.close()
    assert not set(ui.partitions()) & set(WAYS)
    assert (ui.asks(RUNS), ui.partitions(), ui.asks(MADE)) == (runs, partitions, made)


def test_a_page_of_the_ui_can_do_what_the_other_tried(ui: Ui, page: Page) -> None:
    """Else the attacks above might fail for another reason than where they come from."""
    page.goto(f"{ui.address}/runs")
    tried = page.evaluate(ATTACKS, ui.address)
    assert tried["websocket"] == "open"
    assert {"post-json", "post-graphql"} <= set(ui.partitions())
    assert not {"get", "post-address", "post-form", "image", "script"} & set(
        ui.partitions()
    )  # addresses change nothing
