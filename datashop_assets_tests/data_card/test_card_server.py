"""Cards beside Dagster: what is there is served, what is not is said, and nothing else can be had."""

import http.client
import shutil
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from datashop_assets.cards import card_server
from datashop_assets.storage.manifest import Manifest, content_digest
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets_tests.orchestration.workshop import Workshop

DAGSTER = "http://127.0.0.1:3000"
METRICS = {"verdict": "better", "matched_verdict": "not distinguishable", "kept_documents": 1234}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.write("tides")
    made.write("waves")
    return made


@pytest.fixture
def server(workshop: Workshop) -> Iterator[ThreadingHTTPServer]:
    made = card_server(workshop.deployment, 0, DAGSTER)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def asked(server: ThreadingHTTPServer, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def make_card(workshop: Workshop, slug: str, html: str) -> None:
    planned = workshop.plan(slug)["data_card"]
    writer = StageWriter(planned.folder, workshop.place / "scratch")
    writer.put_bytes("card.html", html.encode())
    files = writer.files()
    fields = {"stage": "data_card", "plan_digest": planned.digest, "code_version": "1", "config": {}, "inputs": {}}
    made = {
        "finished_at": "2026-01-01T00:00:00+00:00",
        "versions": {},
        "machine": {},
        "seconds": 0.0,
        "metrics": METRICS,
    }
    writer.close(Manifest(**fields, **made, files=files, content_digest=content_digest(files)))  # type: ignore[arg-type]
    workshop.store.root.record_made(slug, "data_card", planned.digest)


def test_the_first_page_leads_to_cards_and_to_whole_graphs(workshop: Workshop, server: ThreadingHTTPServer) -> None:
    make_card(workshop, "tides", "the card")
    status, page = asked(server, "/")
    assert status == 200
    assert 'href="tides/card.html"' in page
    stages = len(workshop.plan("tides"))
    assert f"<th>tides<td>better<td>not distinguishable<td>1,234<td>1 of {stages}<td>" in page
    assert 'href="waves/card.html"' not in page
    assert page.count(f'href="{DAGSTER}/assets/data_card?') == 2
    assert "partition=waves" in page


def test_a_card_whose_folder_is_gone_is_no_card(workshop: Workshop, server: ThreadingHTTPServer) -> None:
    make_card(workshop, "tides", "the card")
    shutil.rmtree(workshop.plan("tides")["data_card"].folder.uri)
    assert asked(server, "/")[1].count("no card yet") == 2
    assert asked(server, "/tides/card.html")[0] == 404


def test_a_card_that_was_made_is_served_also_when_its_prompt_has_changed(
    workshop: Workshop, server: ThreadingHTTPServer
) -> None:
    make_card(workshop, "tides", "the card")
    assert asked(server, "/tides/card.html") == (200, "the card")
    workshop.write("tides", keep={"fraction": 0.3})
    assert asked(server, "/tides/card.html?again") == (200, "the card")


@pytest.mark.parametrize(
    "path", ["/waves/card.html", "/nobody/card.html", "/tides/manifest.json", "/tides/../card.html", "/../../x"]
)
def test_nothing_else_is_served(workshop: Workshop, server: ThreadingHTTPServer, path: str) -> None:
    make_card(workshop, "tides", "the card")
    status, page = asked(server, path)
    assert status == 404
    assert "last stage of its prompt" in page
