"""The graph on a Ray cluster whose workers and head are lost: what it makes is what this machine makes alone."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from datashop_assets.commands.run import stages_until
from datashop_assets.core.step import Resources
from datashop_assets.graph import GRAPH, plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.runner import DatashopRunner
from datashop_assets.storage.leases import LEASE
from datashop_assets.storage.root import Root
from datashop_assets_tests.graph.conftest import SLUG, STEPS, Made, begun, digests, with_answers
from datashop_assets_tests.resources.ray_cluster import Head, losing_a_worker, ray_cluster
from datashop_assets_tests.small import experiment
from resources.compute import RayCompute
from resources.trainers import RayTrainer

# Every stage loses a worker; the warnings are Ray's own.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]
ATTEMPTS = 10
WORK = {  # stage -> what its workers do, as Ray names it
    "pretraining_pool": "index_file",
    "annotation_sample": "first_of_file",
    "pool_scores": "score_shard",
    "filtered_pool": "write_kept",
    "pool_tokens": "tokenize_shard",
    "control_lm": "TrainWorker",
    "matched_lm": "TrainWorker",
    "trained_lm": "TrainWorker",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log") as head:
        yield head


def test_a_worker_preempted_at_every_stage_changes_nothing(
    made: Made, tools: Resources, cluster: Head, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    trainer = RayTrainer(address=cluster.address, checkpoints=str(checkpoints), checkpoint_seconds=0.0)
    on_ray = Resources(tools.annotator, trainer, RayCompute(address=cluster.address))
    runner = DatashopRunner(experiment(SLUG, made.pool), with_answers(made, tmp_path), on_ray, made.prompts)
    stages = asked_up_to("evaluation")[:-1]
    for stage in stages:
        if stage in WORK:
            under_way = partial(has_a_checkpoint, checkpoints / stage) if stage.endswith("_lm") else lambda: True
            for _ in range(ATTEMPTS):  # some work takes milliseconds, and may end before it can be seen
                with losing_a_worker(cluster, WORK[stage], under_way) as lost:
                    runner.run(stage)
                if lost:
                    break
                shutil.rmtree(runner.plan()[stage].output.uri)
            assert lost, stage
        else:
            runner.run(stage)
    planned, alone = runner.plan(), made.plan()
    assert digests({name: planned[name] for name in stages}) == digests({name: alone[name] for name in stages})


def has_a_checkpoint(stage: Path) -> bool:
    """Whether a seed has been saved in mid-run."""
    return any(stage.glob("*/seed-*/1?"))


@pytest.mark.parametrize(("stage", "until"), [("pool_scores", "filtered_pool"), ("control_lm", "control_lm")])
def test_after_the_head_is_lost_the_same_command_finishes_the_work(
    made: Made, cluster: Head, tmp_path: Path, stage: str, until: str
) -> None:
    for attempt in range(ATTEMPTS):
        root = with_answers(made, tmp_path / str(attempt))
        where = {"RAY_ADDRESS": cluster.client_address, "DATASHOP_CHECKPOINTS": f"{tmp_path}/{attempt}/checkpoints"}
        run = begun(made.prompts, root, tmp_path / str(attempt) / "home", until, **where)
        wait_until_begun(root, stage, run)
        cluster.stop(signal.SIGKILL)
        said = run.communicate(timeout=150)[0]
        if run.returncode != 0:
            break
        cluster.start()  # the stage was finished before the head was gone
    assert run.returncode == 1, said
    assert f"{stage} failed: " in said
    cluster.start()
    run = begun(made.prompts, root, tmp_path / str(attempt) / "home", until, **where)
    said = run.communicate()[0]
    assert run.returncode == 0, said
    planned, alone = plan(PromptStore(made.prompts, root).load(SLUG), root), made.plan()
    steps = stages_until(planned, until)
    assert digests({name: planned[name] for name in steps}) == digests({name: alone[name] for name in steps})


def asked_up_to(step: str) -> list[str]:
    return [name for name in GRAPH.up_to(step) if name in STEPS]


def wait_until_begun(root: Root, stage: str, run: subprocess.Popen[str]) -> None:
    """Until the run holds the stage's lease and has begun to make it."""
    while not list(Path(root.uri).glob(f"stages/{stage}/*/{LEASE}")):
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.01)
