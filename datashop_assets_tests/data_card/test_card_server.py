"""Cards beside Dagster: what is there is served, what is not is said, and nothing else can be had."""

import http.client
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datashop_assets.cards import serve_cards
from datashop_assets.storage.manifest import Manifest, content_digest
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets_tests.orchestration.workshop import Workshop

DAGSTER = "http://127.0.0.1:3000"
METRICS = {"verdict": "better", "matched_verdict": "not distinguishable", "kept_documents": 1234} | {
    "path": "",
    "browsed_documents": 1,
    "documents": 1,
    "samples": 0,
}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.write("tides")
    made.write("waves")
    return made


@pytest.fixture
def server(workshop: Workshop) -> Iterator[int]:
    """Its port."""
    with serve_cards(workshop.deployment, 0, DAGSTER) as port:
        yield port


def asked(server: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=10)
    connection.request(method, path, headers=headers)
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


def test_the_first_page_leads_to_cards_and_to_whole_graphs(workshop: Workshop, server: int) -> None:
    make_card(workshop, "tides", "the card")
    status, page = asked(server, "/")
    assert status == 200
    assert 'href="tides/card.html"' in page
    stages = len(workshop.plan("tides"))
    assert f"<th>tides<td>better<td>not distinguishable<td>1,234<td>1 of {stages}, {stages - 1} missing<td>" in page
    assert 'href="waves/card.html"' not in page
    assert page.count(f'href="{DAGSTER}/assets/data_card?') == 2
    assert "partition=waves" in page


def test_a_card_whose_folder_is_gone_is_no_card(workshop: Workshop, server: int) -> None:
    make_card(workshop, "tides", "the card")
    shutil.rmtree(workshop.plan("tides")["data_card"].folder.uri)
    assert asked(server, "/")[1].count("no card yet") == 2
    assert asked(server, "/tides/card.html")[0] == 404


def test_a_card_that_was_made_is_served_also_when_its_prompt_has_changed(workshop: Workshop, server: int) -> None:
    make_card(workshop, "tides", "the card")
    assert asked(server, "/tides/card.html") == (200, "the card")
    workshop.write("tides", keep={"fraction": 0.3})
    assert asked(server, "/tides/card.html?again") == (200, "the card")


@pytest.mark.parametrize(
    "path", ["/waves/card.html", "/nobody/card.html", "/tides/manifest.json", "/tides/../card.html", "/../../x"]
)
def test_nothing_else_is_served(workshop: Workshop, server: int, path: str) -> None:
    make_card(workshop, "tides", "the card")
    status, page = asked(server, path)
    assert status == 404
    assert "last stage of its prompt" in page


def _append(card: Path) -> None:
    with card.open("ab") as file:
        file.write(b"<script>alert(1)</script>")


def _same_length(card: Path) -> None:
    card.write_bytes(b"the cord")


def _link(card: Path) -> None:
    card.unlink()
    card.symlink_to("/etc/hostname")


def _link_to_a_copy(card: Path) -> None:
    card.rename(card.with_name("copy"))
    card.symlink_to(card.with_name("copy"))


def _link_without_end(card: Path) -> None:
    card.unlink()
    card.symlink_to("/dev/zero")


def _pipe(card: Path) -> None:
    card.unlink()
    os.mkfifo(card)


def _lost(card: Path) -> None:
    card.unlink()


@pytest.mark.parametrize(
    "alter",
    [_append, _same_length, _link, _link_to_a_copy, _link_without_end, _pipe, _lost],
    ids=lambda one: one.__name__,
)
def test_a_card_that_is_not_the_one_that_was_made_is_not_served(
    workshop: Workshop, server: int, alter: Callable[[Path], None]
) -> None:
    make_card(workshop, "tides", "the card")
    folder = Path(workshop.plan("tides")["data_card"].folder.uri)
    alter(folder / "card.html")
    status, page = asked(server, "/tides/card.html")
    assert status == 404
    assert f"{folder}" in page
    assert "card.html" in page
    assert f"remove {folder}; `datashop run PROMPT --until data_card` then makes it again" in page
    assert asked(server, "/")[0] == 200


def test_an_altered_card_of_an_older_prompt_is_not_served_either(workshop: Workshop, server: int) -> None:
    make_card(workshop, "tides", "the card")
    _append(Path(workshop.plan("tides")["data_card"].folder.uri) / "card.html")
    workshop.write("tides", keep={"fraction": 0.3})
    assert asked(server, "/tides/card.html")[0] == 404


def test_head_says_what_get_would(workshop: Workshop, server: int) -> None:
    make_card(workshop, "tides", "the card")
    assert asked(server, "/tides/card.html", "HEAD") == (200, "")
    assert asked(server, "/waves/card.html", "HEAD") == (404, "")
    assert asked(server, "/", "HEAD") == (200, "")
    assert asked(server, "/tides/card.html", "POST")[0] == 405


def test_cards_are_for_this_machine_and_no_other_page(workshop: Workshop, server: int) -> None:
    make_card(workshop, "tides", "the card")
    assert asked(server, "/tides/card.html", Host="evil.example.com")[0] == 421
    assert asked(server, "/tides/card.html", Origin="http://evil.example.com")[0] == 403
    assert asked(server, "/tides/card.html", Host=f"localhost:{server}") == (200, "the card")
