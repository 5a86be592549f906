"""A small server for data cards, on 127.0.0.1 alone: a browser does not follow a link from Dagster's UI to a file.

`/` lists the prompts, each with its card, what holds it up, and a link that opens its whole graph in Dagster, ready to
launch. `/<slug>/card.html` and its neighbours are the newest finished card of a prompt, and nothing else: a file that
is not as its manifest says is not served. The server only reads; it takes nothing from a request but which prompt and
which of the four files.
"""

import html
import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from datashop_assets.core.plan import State
from datashop_assets.core.status import StepStatus, problems_of, remarks_of
from datashop_assets.data_card.results import DataCardResult
from datashop_assets.deployment import Deployment
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder

if TYPE_CHECKING:
    from starlette.types import ASGIApp

NO_CARD = "No such card. The card is the last stage of its prompt."
KINDS = {
    "card.html": "text/html; charset=utf-8",
    "documents.html": "text/html; charset=utf-8",
    "card.json": "application/json",
    "card.md": "text/markdown; charset=utf-8",
}
UNREADABLE = (OSError, ValueError, DamagedStageError)
DEPTH = 99  # steps upstream that Dagster shows; more than there are
COLUMNS = (
    *("prompt", "against control", "against the same mix", "documents kept"),
    *("stages current", "read", "look or launch"),
)
HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Datashop: prompts</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    "<style>body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }"
    " table { border-collapse: collapse } a { color: light-dark(#2f6fb3, #6ea8e0) }"
    " th, td { text-align: left; padding: .4rem 1.6rem .4rem 0; border-bottom: 1px solid light-dark(#dde1e6, #343a41) }"
    " .problem { color: light-dark(#a3261b, #f08a80); overflow-wrap: anywhere }"
    f"</style><h1>Prompts</h1><table><tr><th>{'<th>'.join(COLUMNS)}"
)


def card_address(cards: str, slug: str) -> str:
    """Where a prompt's card is served by the server at `cards`."""
    return f"{cards.rstrip('/')}/{slug}/card.html"


def graph_address(dagster: str, slug: str) -> str:
    """Where Dagster shows all that a prompt's card is made from, with the prompt chosen."""
    shown = f"view=lineage&lineageScope=upstream&lineageDepth={DEPTH}&partition={slug}"
    return f"{dagster}/assets/{DataCardResult.step}?{shown}"


Runs = Callable[[Collection[str]], Mapping[str, str]]  # prompts -> what the last run of each does, in words


def cards_app(deployment: Deployment, dagster: str, runs: Runs, hosts: Sequence[str]) -> "ASGIApp":
    """The pages as an ASGI application. `dagster` is the address of its UI, `hosts` are those of `DATASHOP_HOSTS`."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from datashop_assets.same_origin import SameOriginMiddleware

    unchanged = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}

    def index(_: Request) -> Response:
        return Response(_index(deployment, dagster, runs), media_type="text/html", headers=unchanged)

    def card(request: Request) -> Response:
        slug, name = request.path_params["slug"], request.path_params["name"]
        try:
            found = _card(deployment, slug, name)
        except UNREADABLE as error:
            return PlainTextResponse(f"This card is not served. {error}\n", 404, unchanged)
        if found is None:
            return PlainTextResponse(f"{NO_CARD}\n", 404, unchanged)
        return Response(found, media_type=KINDS[name], headers=unchanged)

    def nothing(_: Request, __: Exception) -> Response:
        return PlainTextResponse(f"{NO_CARD}\n", 404, unchanged)

    pages = Starlette(routes=[Route("/", index), Route("/{slug}/{name}", card)], exception_handlers={404: nothing})
    return SameOriginMiddleware(pages, hosts)


@contextmanager
def serve_cards(
    deployment: Deployment, port: int, dagster: str, runs: Runs = lambda _: {}, hosts: Sequence[str] = ()
) -> Iterator[int]:
    """Serves the pages of `cards_app` on 127.0.0.1, and yields the port. Raises `OSError` where it is taken."""
    import uvicorn

    # its access log would go to the terminal, which is Dagster's
    server = uvicorn.Server(
        uvicorn.Config(cards_app(deployment, dagster, runs, hosts), log_config=None, timeout_graceful_shutdown=2)
    )
    with socket.create_server(("127.0.0.1", port)) as listening:
        serving = threading.Thread(target=server.run, args=([listening],), daemon=True)
        serving.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            serving.join()


def _index(deployment: Deployment, dagster: str, runs: Runs) -> bytes:
    status, slugs = deployment.status(), deployment.prompts.slugs()
    last = runs(slugs)
    rows = [
        _row(
            slug,
            _last_card(deployment, slug),
            _said(status.prompts.get(slug, {}), last.get(slug, "")),
            graph_address(dagster, slug),
        )
        for slug in slugs
    ]
    problems = [
        f"{slug}: {', '.join(one.steps)}: {one.state}: {one.reason}. Fix: {one.fix}"
        for slug, stages in status.prompts.items()
        for one in problems_of(stages)
    ]
    waived = [
        f"{slug}: {one.step}: gate {one.check} is waived: {one.said}. Reason: {one.waived}"
        for slug, stages in status.prompts.items()
        for one in remarks_of(stages)
        if one.waived
    ]
    shown = [*problems, *waived, *status.problems.values()]
    listed = "".join(f'<p class="problem">{html.escape(one)}' for one in shown)
    return f"{HEAD}{''.join(rows)}</table>{listed}".encode()


def _said(stages: Mapping[str, StepStatus], run: str) -> str:
    """How far a prompt is: its stages by their states, and what its last run does or how it ended."""
    if not stages:
        return ", ".join(filter(None, ("unknown", run)))
    states = Counter(stage.state for stage in stages.values())
    others = [f"{states[state]} {state}" for state in State if states[state] and state is not State.CURRENT]
    return ", ".join(filter(None, (f"{states[State.CURRENT]} of {len(stages)}", *others, run)))


def _row(slug: str, card: StageFolder | None, said: str, graph: str) -> str:
    """A prompt's line; `card` is the one that was made last, None where there is none."""
    links, shown = "no card yet", ["", "", ""]
    if card is not None:
        links = f'<a href="{slug}/card.html">card</a>, <a href="{slug}/documents.html">documents</a>'
        with suppress(ValidationError):  # a card of another version of Datashop
            result = DataCardResult.model_validate(card.metrics)
            shown = [result.verdict, result.matched_verdict, f"{result.kept_documents:,}"]
    cells = "<td>".join(map(html.escape, (slug, *shown, said)))
    return f'<tr><th>{cells}<td>{links}<td><a href="{html.escape(graph)}">in Dagster</a>'


def _last_card(deployment: Deployment, slug: str) -> StageFolder | None:
    """The card that was made last; None where there is none, or its folder is gone."""
    folder = deployment.root.last_made(slug, DataCardResult.step)
    with suppress(*UNREADABLE):
        card = None if folder is None else StageFolder(folder)
        return card if card is not None and card.manifest else None
    return None


def _card(deployment: Deployment, slug: str, name: str) -> bytes | None:
    """A file of the card as it is planned now, else of the one that was made last, also where a source is gone.

    None where there is none. Raises `DamagedStageError` where the file is another than the one that was made.
    """
    if slug not in deployment.prompts.slugs() or name not in KINDS:
        return None
    folder = None
    with suppress(OSError, ValueError):
        planned = deployment.plan(slug)[DataCardResult.step]
        folder = planned.folder if planned.usable else None
    folder = folder or deployment.root.last_made(slug, DataCardResult.step)
    if folder is None or not folder.names():
        return None
    card = StageFolder(folder)
    return card.content(name) if name in [file.name for file in card.manifest.files] else None
