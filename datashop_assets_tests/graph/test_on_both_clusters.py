"""The whole graph as the profile `gcp` runs it: a vLLM server at an address, a Ray cluster by `ray://`, a bucket.

While it runs, a worker that scores and one that trains are lost. The same answers, computed on again by this machine
alone into a folder, give the same digests.
"""

from collections.abc import Iterator
from pathlib import Path

import gcsfs
import orjson
import pytest

from datashop_assets.protocols.annotator import AnnotationRequest, Question, Reading, Sampling
from datashop_assets.storage.root import Root, project
from datashop_assets_tests.graph.conftest import SLUG, STEPS, begun
from datashop_assets_tests.resources.ray_cluster import Head, losing_a_worker, ray_cluster
from datashop_assets_tests.small import small_pool, write_prompt
from resources.annotator.vllm.server import VLLMServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]  # Ray's own
VLLM = project() / ".venv-vllm/bin/python"
HELLO = Question("HuggingFaceTB/SmolLM2-135M-Instruct", "", "generate", "{example}", "", (), Sampling(), Reading(100))


@pytest.fixture
def annotator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A vLLM server, as whoever asks it names it."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    server = VLLMServer(
        python=str(VLLM),
        max_model_len=512,
        arguments=["--enforce-eager"],
        start_deadline=500,
        idle_seconds=3600,
        logs=str(tmp_path / "logs"),
        cache=str(tmp_path / "weights"),
    )
    list(server.answer([AnnotationRequest("first", "What is two and two?", "made")], HELLO))
    yield {
        "DATASHOP_ANNOTATOR": "endpoints",
        "DATASHOP_ANNOTATOR_URLS": server.address,
        "DATASHOP_ANNOTATOR_KEY": server._key,
    }
    server.close()


@pytest.fixture
def cluster(gcs_bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """It sees the bucket as this process does."""
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log") as head:
        yield head


def contents(files: gcsfs.GCSFileSystem | None, place: str) -> dict[str, tuple[str, str]]:
    """Plan and content digest of every stage, as the manifests under a root say them."""
    found = files.glob(f"{place}/stages/*/*/manifest.json") if files else Path(place).glob("stages/*/*/manifest.json")
    read = files.cat_file if files else lambda file: Path(file).read_bytes()
    said = [orjson.loads(read(file)) for file in found]
    return {one["stage"]: (one["plan_digest"], one["content_digest"]) for one in said}


def test_the_whole_graph_on_two_clusters_is_what_one_machine_makes_of_the_same_answers(
    cluster: Head, annotator: dict[str, str], gcs_bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "pool").mkdir()
    prompts = write_prompt(tmp_path / "prompts", SLUG, small_pool(tmp_path / "pool", tmp_path / "cache")).parent
    there = Root(f"{gcs_bucket}/clusters")
    clusters = {
        "DATASHOP_PROFILE": "gcp",
        "RAY_ADDRESS": cluster.client_address,
        "DATASHOP_CHECKPOINTS": str(tmp_path / "checkpoints"),
        "XDG_CACHE_HOME": str(tmp_path / "cache-of-bucket"),
    }
    with losing_a_worker(cluster, "score") as scoring, losing_a_worker(cluster, "TrainWorker") as training:
        run = begun(prompts, there, tmp_path / "home", **annotator, **clusters)
        said = run.communicate()[0]
    assert run.returncode == 0, said
    assert scoring
    assert training
    files = gcsfs.GCSFileSystem()
    made = contents(files, there.uri)
    assert list(made) == sorted(STEPS)

    files.get(there.answers.uri, str(tmp_path / "root" / "answers"), recursive=True)
    run = begun(prompts, Root(str(tmp_path / "root")), tmp_path / "home-alone", **annotator)
    said = run.communicate()[0]
    assert run.returncode == 0, said
    assert contents(None, str(tmp_path / "root")) == made
