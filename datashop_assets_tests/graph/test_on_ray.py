"""The graph on a Ray cluster whose workers are lost: what it makes is what this machine makes alone."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from datashop_assets.planning import up_to
from datashop_assets.protocols.trainer import Checkpointing
from datashop_assets.runner import DatashopRunner
from datashop_assets.stage import Tools
from datashop_assets_tests.graph.conftest import SLUG, Made, digests, with_answers
from datashop_assets_tests.resources.ray_cluster import Head, losing_a_worker, ray_cluster
from datashop_assets_tests.small import experiment
from resources.ray_compute import RayCompute
from resources.ray_training import RayTrainer

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]  # Ray's own
WORK = {  # stage -> what its workers do, as Ray names it
    "pretraining_pool": "heldout_bands",
    "annotation_sample": "draw",
    "pool_scores": "score_shard",
    "filtered_pool": "write_kept",
    "decontamination": "read_shard",
    "control_lm": "TrainWorker",
    "matched_lm": "TrainWorker",
    "trained_lm": "TrainWorker",
}
OFTEN = Checkpointing(seconds=0.0, keep=2, asynchronous=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_cluster(tmp_path_factory.mktemp("ray", numbered=False) / "log") as head:
        yield head


def test_a_worker_preempted_at_every_stage_changes_nothing(
    made: Made, tools: Tools, cluster: Head, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    trainer = RayTrainer(cluster.address, str(checkpoints), checkpointing=OFTEN)
    on_ray = Tools(tools.annotator, trainer, RayCompute(cluster.address))
    runner = DatashopRunner(experiment(SLUG, made.pool), with_answers(made, tmp_path), on_ray, made.prompts)
    stages = [name for name in up_to("evaluation") if name != "evaluation"]
    for stage in stages:
        if stage in WORK:
            under_way = partial(has_a_checkpoint, checkpoints / stage) if stage.endswith("_lm") else lambda: True
            with losing_a_worker(cluster, WORK[stage], under_way) as lost:
                runner.run(stage)
            assert lost, stage
        else:
            runner.run(stage)
    planned, alone = runner.plan(), made.plan()
    assert digests({name: planned[name] for name in stages}) == digests({name: alone[name] for name in stages})


def has_a_checkpoint(stage: Path) -> bool:
    """Whether a seed has been saved in mid-run."""
    return any(stage.glob("*/seed-*/1?"))
