"""An annotator on a Ray cluster: deployed by its resource, found by its name, and asked while its replicas are lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import Field

from datashop_assets.protocols.annotator import AnnotationRequest, Ended, Question, Reading, Sampling
from datashop_assets_tests.conftest import free_port
from datashop_assets_tests.resources.ray_cluster import HOST, Head, losing_a_worker, ray_cluster
from resources.annotator.embedded import EmbeddedAnnotator
from resources.annotator.ray_serve import RayServeVLLM
from resources.annotator.resource import AnnotatorEndpoints

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


class OnCPUs(RayServeVLLM):
    """The same application with another model server in it, on loopback: there is neither vLLM nor an accelerator."""

    port: int = Field(description="Where Ray Serve takes requests")

    def application_schema(self, model: str) -> dict[str, Any]:
        return super().application_schema(model) | {"import_path": SERVED, "args": {}}

    def http_options(self) -> dict[str, Any]:
        return super().http_options() | {"host": HOST, "port": self.port}


@pytest.fixture(scope="module")
def served(cluster: Head) -> OnCPUs:
    dashboard = f"{HOST}:{cluster.dashboard}"
    return OnCPUs(accelerator="H100", topology="", dashboard=dashboard, port=free_port(), start_deadline=200)


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


def test_it_is_deployed_with_the_first_question_loses_no_document_and_is_removed(served: OnCPUs, cluster: Head) -> None:
    assert served.applications() == {}
    name = served.identity(MODEL)[0]
    answers = served.answer(DOCUMENTS, question(name))
    assert served.applications() == {}
    found = [next(answers)]
    assert set(served.applications()) == {"annotator"}
    for _ in range(2):
        with losing_a_worker(cluster, "ServeReplica") as lost:
            found += [next(answers) for _ in range(6)]
        assert lost
    by_name = AnnotatorEndpoints(addresses=[served.name])  # deployed by another, it is found and left in place
    assert [answer.ended for answer in by_name.answer(DOCUMENTS[:2], question(name))] == [Ended.COMPLETE] * 2
    by_name.close()
    found += answers
    other = OnCPUs(**{field: getattr(served, field) for field in OnCPUs.model_fields})
    assert len(list(other.answer(DOCUMENTS[:2], question(name)))) == 2
    other.close()
    assert set(served.applications()) == {"annotator"}
    served.close()
    assert served.applications() == {}

    assert sorted(int(answer.id) for answer in found) == list(range(len(DOCUMENTS)))
    assert {answer.ended for answer in found} == {Ended.COMPLETE}
    alone = {one.id: one.probabilities for one in EmbeddedAnnotator(rows=1).answer(DOCUMENTS, question(MODEL))}
    for answer in found:
        assert answer.probabilities == pytest.approx(alone[answer.id], abs=2e-3)
