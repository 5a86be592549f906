"""An application of Ray Serve lives for its questions: deployed, waited for, asked and removed by way of its dashboard.

The dashboard is a small real one, the replica a server process. A whole Ray cluster is in `test_on_ray_serve.py`.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from datashop_assets.protocols.annotator import Ended
from datashop_assets_tests.annotator.fleets import QUESTION, Server, documents, fleet
from datashop_assets_tests.conftest import free_port
from resources.annotator.endpoints import addresses
from resources.annotator.ray_serve import RayServeVLLM

OTHER = {"name": "other", "import_path": "others.module:application", "route_prefix": "/other"}


class Dashboard:
    """Takes orders as Ray's does, and says of each application first that it is being deployed, then `becomes`."""

    def __init__(self, port: int) -> None:
        self.port = port  # where requests are taken
        self.orders: list[tuple[str, list[str]]] = []  # method, applications that are to be there
        self.applications: dict[str, dict[str, Any]] = {}
        self.becomes, self.refuses = "RUNNING", ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(outer.details())

            def do_PUT(self) -> None:
                config = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.orders.append(("PUT", [one["name"] for one in config["applications"]]))
                if outer.refuses:
                    self._reply({"msg": outer.refuses}, 400)
                    return
                outer.deploy(config["applications"])
                self._reply({})

            def do_DELETE(self) -> None:
                outer.orders.append(("DELETE", []))
                outer.applications.clear()
                self._reply({})

            def _reply(self, body: dict[str, Any], status: int = 200) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """In silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def deploy(self, applications: list[dict[str, Any]]) -> None:
        self.applications = {
            one["name"]: {"status": "DEPLOYING", "message": "no such weights", "route_prefix": None}
            | {"deployed_app_config": one}
            for one in applications
        }

    def details(self) -> dict[str, Any]:
        said = json.loads(json.dumps(self.applications))
        for one in self.applications.values():
            one |= {"status": self.becomes, "route_prefix": one["deployed_app_config"]["route_prefix"]}
        http = {"host": "127.0.0.1", "port": self.port}
        return {"http_options": http, "proxies": {}, "applications": said}


@pytest.fixture
def replica() -> Iterator[Server]:
    with fleet(1) as [server]:
        yield server


@pytest.fixture
def dashboard(replica: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    monkeypatch.setattr(addresses, "POLL_INTERVAL", 0.01)
    made = Dashboard(replica.port)
    yield made
    made.server.shutdown()
    made.server.server_close()


def resource(dashboard: Dashboard, **fields: Any) -> RayServeVLLM:
    given = {"tensor_parallel_size": 8, "start_deadline": 20.0, "patience": 5.0, **fields}
    return RayServeVLLM(dashboard=dashboard.address, **given)


def test_it_is_deployed_for_the_first_question_and_removed_at_the_end(dashboard: Dashboard) -> None:
    annotator, said = resource(dashboard), list[str]()
    annotator.saying(said.append)
    assert list(annotator.answer([], QUESTION)) == []
    answers = annotator.answer(documents(6), QUESTION)
    assert dashboard.orders == []
    first = next(answers)
    assert dashboard.orders == [("PUT", ["annotator"])]
    config = dashboard.applications["annotator"]["deployed_app_config"]["args"]["llm_configs"][0]
    assert config["model_loading_config"]["model_id"] == QUESTION.model
    assert {one.ended for one in [first, *answers]} == {Ended.COMPLETE}
    assert len(list(annotator.answer(documents(6), QUESTION))) == 6
    annotator.close()
    assert dashboard.orders == [("PUT", ["annotator"]), ("DELETE", [])]
    assert [line.split()[2] for line in said] == ["deploying", "removing"]


def test_one_that_is_deployed_is_found_and_stays(dashboard: Dashboard) -> None:
    dashboard.deploy([{**OTHER, "name": "annotator", "route_prefix": "/"}])
    annotator = resource(dashboard, deploy=False)
    assert len(list(annotator.answer(documents(3), QUESTION))) == 3
    annotator.close()
    assert dashboard.orders == []
    assert set(dashboard.applications) == {"annotator"}


def test_other_applications_stay_whatever_comes_and_goes(dashboard: Dashboard) -> None:
    dashboard.deploy([OTHER])
    annotator = resource(dashboard)
    assert len(list(annotator.answer(documents(3), QUESTION))) == 3
    annotator.close()
    assert dashboard.orders == [("PUT", ["other", "annotator"]), ("PUT", ["other"])]


def test_what_is_kept_outlives_the_run(dashboard: Dashboard) -> None:
    annotator = resource(dashboard, keep=True)
    assert len(list(annotator.answer(documents(3), QUESTION))) == 3
    annotator.close()
    assert dashboard.orders == [("PUT", ["annotator"])]


def test_one_that_cannot_be_deployed_is_removed_and_named(dashboard: Dashboard) -> None:
    dashboard.becomes = "DEPLOY_FAILED"
    with pytest.raises(ValueError, match="could not be deployed: no such weights"):
        list(resource(dashboard).answer(documents(1), QUESTION))
    assert dashboard.orders == [("PUT", ["annotator"]), ("DELETE", [])]


def test_an_order_that_is_refused_says_why(dashboard: Dashboard) -> None:
    dashboard.refuses = "no such accelerator"
    with pytest.raises(ValueError, match=r"PUT is refused: .*no such accelerator"):
        list(resource(dashboard).answer(documents(1), QUESTION))


def test_one_that_is_not_there_and_may_not_be_deployed_is_named(dashboard: Dashboard) -> None:
    dashboard.deploy([OTHER])
    with pytest.raises(ValueError, match=r"no application 'annotator' is deployed at .*\['other'\]; set deploy"):
        list(resource(dashboard, deploy=False).answer(documents(1), QUESTION))
    assert dashboard.orders == []


def test_a_cluster_that_is_not_there_is_named_with_the_fix() -> None:
    annotator = RayServeVLLM(dashboard=f"127.0.0.1:{free_port()}")
    with pytest.raises(ValueError, match=r"no dashboard of a Ray cluster answers there .*`ray dashboard FILE`"):
        list(annotator.answer(documents(1), QUESTION))
