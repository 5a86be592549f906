"""An annotator on a Ray cluster: deployed by one command, found by its name, and asked while its replicas are lost."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from datashop_assets.protocols.annotator import AnnotationRequest, Ended, Question, Reading, Sampling
from datashop_assets_tests.conftest import free_port
from datashop_assets_tests.resources.ray_cluster import HOST, RAY, Head, losing_a_worker, ray_cluster
from infra.serving.llm import Replicas, serve_config
from resources.annotator.embedded import EmbeddedAnnotator
from resources.annotator.resource import make_annotator
from resources.annotator.settings import ServerSettings, from_environment

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]  # Ray's own
MODEL = "smollm2-135m-instruct"
SERVED = "datashop_assets_tests.annotator.served_smollm:application"
SUBJECTS = ("mathematics", "history", "biology", "computers")
DOCUMENTS = [
    AnnotationRequest(f"{number}", f"The number {number} is of interest to algebra.", "made") for number in range(24)
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log", with_dashboard=True) as head:
        yield head


@pytest.fixture(scope="module")
def deployed(cluster: Head, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The application's name. Its file is the one for a GPU cluster, with another application in it and on loopback."""
    config = serve_config(MODEL, ServerSettings(python=Path("unused")), Replicas("H100"))
    config["http_options"] |= {"host": HOST, "port": free_port()}
    config["applications"][0] |= {"import_path": SERVED, "args": {}}
    file = tmp_path_factory.mktemp("serve") / "serve.yaml"
    file.write_text(yaml.safe_dump(config))
    dashboard = f"{HOST}:{cluster.dashboard}"
    subprocess.run([RAY.with_name("serve"), "deploy", file, "--address", f"http://{dashboard}"], check=True)
    return f"ray-serve://{dashboard}/annotator"


def question(model: str) -> Question:
    return Question(
        model=model,
        revision="",
        scoring="likelihood",
        prompt="Document:\n{example}\n\nWhat school subject does this document belong to?",
        answer_begins="This document is useful for studying",
        options=SUBJECTS,
        sampling=Sampling(),
        reading=Reading(400),
    )


def test_it_is_found_by_name_and_loses_no_document_with_its_replicas(deployed: str, cluster: Head) -> None:
    settings = from_environment({"DATASHOP_ANNOTATOR": "endpoints", "DATASHOP_ANNOTATOR_URLS": deployed})
    annotator = make_annotator(settings, print)
    answers = annotator.answer(DOCUMENTS, question(annotator.identity(MODEL)[0]))
    found = [next(answers)]
    for _ in range(2):
        with losing_a_worker(cluster, "ServeReplica") as lost:
            found += [next(answers) for _ in range(6)]
        assert lost
    found += answers
    assert sorted(int(answer.id) for answer in found) == list(range(len(DOCUMENTS)))
    assert {answer.ended for answer in found} == {Ended.COMPLETE}
    alone = {one.id: one.probabilities for one in EmbeddedAnnotator(rows=1).answer(DOCUMENTS, question(MODEL))}
    for answer in found:
        assert answer.probabilities == pytest.approx(alone[answer.id], abs=2e-3)
