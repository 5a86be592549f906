"""Addresses and names of Ray Serve applications; `test_on_ray_serve.py` finds one on a real cluster."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datashop_assets_tests.conftest import free_port
from resources.annotator.endpoints import addresses
from resources.annotator.endpoints.addresses import checked_url, locate_endpoints


@contextmanager
def dashboard(*states: str) -> Iterator[str]:
    """The name of an application of a cluster of two nodes, whose dashboard says one state after the other."""
    remaining = list(states)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            body = json.dumps(says(state)).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """In silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"ray-serve://127.0.0.1:{server.server_port}/annotator"
        server.shutdown()


def says(state: str) -> dict[str, object]:
    """Of `ray.serve.schema.ServeInstanceDetails`, what is read; the route is not known before the application is."""
    route = None if state == "DEPLOYING" else "/"
    application = {"status": state, "message": "no such weights", "route_prefix": route, "deployed_app_config": None}
    nodes = {name: {"node_ip": ip, "status": "HEALTHY"} for name, ip in (("head", "10.0.0.2"), ("worker", "10.0.0.3"))}
    http = {"host": "0.0.0.0", "port": 8000}
    return {"http_options": http, "proxies": nodes, "applications": {"annotator": application}}


def test_a_name_is_a_dashboard_and_an_application() -> None:
    assert checked_url(" ray-serve://127.0.0.1:8265/annotator/ ") == "ray-serve://127.0.0.1:8265/annotator"


@pytest.mark.parametrize("name", ["ray-serve://127.0.0.1:8265", "ray-serve://127.0.0.1:8265/", "ray-serve://h/a/b"])
def test_a_name_without_an_application_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no application; give ray-serve://HOST:8265/annotator"):
        checked_url(name)


def test_a_name_with_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="holds a user, password or query"):
        checked_url("ray-serve://me:secret@host:8265/annotator")


def test_addresses_are_taken_as_they_are() -> None:
    urls = ["http://one:8000/v1", "https://two/v1"]
    assert list(locate_endpoints(urls, patience=0)) == urls


def test_an_application_is_every_node_that_takes_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "POLL_INTERVAL", 0.01)
    with dashboard("DEPLOYING", "DEPLOYING", "RUNNING") as name:
        assert list(locate_endpoints([name], patience=30)) == ["http://10.0.0.2:8000/v1", "http://10.0.0.3:8000/v1"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("DEPLOYING", r"still being deployed after 0 s .*wait longer with DATASHOP_ANNOTATOR_PATIENCE"),
        ("DEPLOY_FAILED", "could not be deployed: no such weights"),
    ],
)
def test_an_application_that_does_not_come_is_an_error(state: str, message: str) -> None:
    with dashboard(state) as name, pytest.raises(ValueError, match=message):
        list(locate_endpoints([name], patience=0))


def test_an_application_that_is_not_deployed_is_an_error() -> None:
    with dashboard("RUNNING") as name, pytest.raises(ValueError, match=r"no application 'other' .*\['annotator'\]"):
        list(locate_endpoints([name.replace("annotator", "other")], patience=0))


def test_a_dashboard_that_is_not_there_is_an_error_with_the_fix() -> None:
    with pytest.raises(ValueError, match=r"no dashboard of a Ray cluster answers there .*; `ray dashboard FILE`"):
        list(locate_endpoints([f"ray-serve://127.0.0.1:{free_port()}/annotator"], patience=0))
