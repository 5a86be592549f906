"""What web servers answer, and to whom: requests as browsers and programs send them."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from datashop_assets.same_origin import SameOriginMiddleware

OURS = "127.0.0.1:3000"
MUTATION = "mutation { reloadWorkspace { __typename } }"


async def answers(_: Request) -> PlainTextResponse:
    return PlainTextResponse("answered")


async def listens(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("answered")
    await websocket.close()


@pytest.fixture(scope="module")
def client() -> TestClient:
    methods = ["GET", "POST", "DELETE"]
    app = Starlette(
        routes=[
            WebSocketRoute("/graphql", listens),
            *(Route(path, answers, methods=methods) for path in ("/", "/graphql", "/server_info", "/logs/x")),
        ]
    )
    return TestClient(SameOriginMiddleware(app, ("shop.example.com",)), f"http://{OURS}")


@pytest.mark.parametrize(
    "host",
    [OURS, "localhost:3000", "LOCALHOST", "[::1]:3000", "shop.example.com", "Shop.Example.com:443", "127.0.0.1:65535"],
)
def test_names_of_loopback_and_configured_ones_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).text == "answered"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "evil.example.com:3000",
        "127.0.0.1.evil.example.com",
        "evil.example.com@127.0.0.1:3000",
        "x.shop.example.com",
        "127.0.0.1:3000:80",
        "localhost.",
        "0.0.0.0:3000",
        "[::ffff:7f00:1]",
        "",
        "127.0.0.1:3000/evil",
    ],
)
def test_other_names_are_refused_with_the_fix(client: TestClient, host: str) -> None:
    for method, path in (("GET", "/"), ("POST", "/graphql"), ("GET", "/logs/x")):
        answer = client.request(method, path, headers={"Host": host})
        assert answer.status_code == 421
        assert "DATASHOP_HOSTS" in answer.text


def test_a_probe_asks_by_the_address_of_its_pod(client: TestClient) -> None:
    assert client.get("/server_info", headers={"Host": "10.0.0.7:80"}).text == "answered"
    assert client.get("/server_info", headers={"Host": "10.0.0.7", "Origin": "http://evil.example.com"}).is_error


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example.com",
        "http://127.0.0.1",
        "http://127.0.0.1:3001",
        "http://localhost:3000",
        "null",
        "",
        "file://",
        "http://127.0.0.1:3000.evil.example.com",
        "http://evil.example.com/127.0.0.1:3000",
        "http://[::1",
        "ftp://127.0.0.1:3000",
    ],
)
def test_a_page_of_another_origin_can_do_nothing(client: TestClient, origin: str) -> None:
    for method in ("GET", "POST", "DELETE", "HEAD"):
        assert client.request(method, "/graphql", headers={"Origin": origin}).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/graphql", headers={"Origin": origin}):
        pass


def test_our_own_pages_can_do_all(client: TestClient) -> None:
    sent = {"Origin": f"http://{OURS}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert client.post("/graphql", headers=sent).text == "answered"
    with client.websocket_connect("/graphql", headers={"Origin": f"http://{OURS}", "Host": OURS}) as socket:
        assert socket.receive_text() == "answered"


def test_a_proxy_may_name_another_host_than_the_browser_does(client: TestClient) -> None:
    for origin in ("https://shop.example.com", "https://shop.example.com:8443"):
        assert client.post("/graphql", headers={"Origin": origin}).text == "answered"


def test_a_program_is_answered(client: TestClient) -> None:
    assert client.post("/graphql", json={"query": MUTATION}).text == "answered"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something new"])
def test_another_site_can_link_here_and_nothing_else(client: TestClient, site: str) -> None:
    link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=link).text == "answered"
    assert client.post("/", headers=link).status_code == 403
    for changed in ({"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Mode": "no-cors"}, {"Sec-Fetch-Mode": "cors"}):
        assert client.get("/", headers=link | changed).status_code == 403
    assert client.get("/", headers={"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize(
    "query",
    [
        MUTATION,
        "query a { version } mutation b { reloadWorkspace { __typename } }",
        "subscription { x }",
        f"#\n{MUTATION}",
        f"\ufeff{MUTATION}",
        "{ a " * 5000,
        "mutation " + "{ a " * 900 + "}" * 900,
        "not GraphQL",
    ],
)
def test_an_address_changes_nothing(client: TestClient, path: str, method: str, query: str) -> None:
    answer = client.request(method, path, params={"query": query}, follow_redirects=False)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


def test_the_second_query_of_an_address_counts_too(client: TestClient) -> None:
    assert client.get("/graphql", params=[("query", "{ version }"), ("query", MUTATION)]).status_code == 405


@pytest.mark.parametrize("query", ["{ version }", "query a { version }", "{ a } fragment b on C { d }", ""])
def test_an_address_may_ask(client: TestClient, query: str) -> None:
    assert client.get("/graphql", params={"query": query}).text == "answered"


def test_no_page_shows_ours_in_a_frame(client: TestClient) -> None:
    assert client.get("/").headers["X-Frame-Options"] == "SAMEORIGIN"
