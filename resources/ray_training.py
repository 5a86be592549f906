"""Training as a Ray Train job, the twin of `InProcessTrainer`: the same loop, on the workers of a cluster.

A worker is a host of a TPU slice, a GPU, or a CPU; `JaxTrainer` starts them and joins their devices into one program. A
worker that is preempted is started again, and the loop goes on from its last checkpoint, which therefore lies where
every worker sees it. Tried with one CPU worker; on TPUs and GPUs not tried.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datashop_assets.protocols.trainer import Checkpointing

POLL_SECONDS = 2.0
WHILE_IT_TRAINS = Checkpointing(keep=2, asynchronous=True)


class Steps:
    """An actor that workers tell of steps done."""

    def __init__(self) -> None:
        self.done = 0.0

    def add(self, steps: float) -> None:
        self.done += steps

    def take(self) -> float:
        done, self.done = self.done, 0.0
        return done


@dataclass(frozen=True)
class RayTrainer:
    """Runs the loop on the cluster at `address`, which sees the same storage and packages.

    `topology` and `accelerator` name a TPU slice, such as `4x4` and `TPU-V6E`; without them workers have `resources`,
    by default a CPU each. `checkpoints` is a folder or bucket that all workers see.
    """

    address: str
    checkpoints: str
    workers: int = 1
    topology: str | None = None
    accelerator: str | None = None
    resources: tuple[tuple[str, float], ...] = (("CPU", 1),)
    mesh: str = ""
    checkpointing: Checkpointing = WHILE_IT_TRAINS
    restarts: int = 20

    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        """Returns what the first worker returned. Raises what the loop refused, `RuntimeError` for a lost cluster."""
        import ray
        from ray.train.v2.jax import JaxTrainer

        if not ray.is_initialized():
            ray.init(self.address, log_to_driver=False, configure_logging=False)
        advance, scratch = arguments.pop("advance"), Path(arguments.pop("scratch"))
        steps = ray.remote(num_cpus=0)(Steps).remote()
        place = f"{self.checkpoints.rstrip('/')}/{scratch.parent.name}/{scratch.name}"
        job = {"loop": loop, "arguments": ray.put({**arguments, "scratch": place}), "steps": steps}
        trainer = JaxTrainer(
            work, train_loop_config=job, scaling_config=self._scaling(), run_config=self._running(scratch.name)
        )
        with _relayed(steps, advance):
            return _returned(trainer)

    def _scaling(self) -> Any:
        from ray.train.v2.api.config import ScalingConfig

        if self.topology:
            return ScalingConfig(
                use_tpu=True, num_workers=self.workers, topology=self.topology, accelerator_type=self.accelerator
            )
        each = dict(self.resources)
        return ScalingConfig(num_workers=self.workers, use_gpu="GPU" in each, resources_per_worker=each)

    def _running(self, name: str) -> Any:
        from ray.train.v2.api.config import FailureConfig, RunConfig

        failures = FailureConfig(max_failures=self.restarts)
        return RunConfig(name=name, storage_path=f"{self.checkpoints.rstrip('/')}/ray", failure_config=failures)


def work(job: Mapping[str, Any]) -> Any:
    """What every worker does. A refusal of the loop is no reason to start again, so it is returned, not raised."""
    import ray
    from etils import epath  # type: ignore[import-untyped]

    arguments = ray.get(job["arguments"])
    first = ray.train.get_context().get_world_rank() == 0

    def advance(steps: float) -> None:
        if first:
            job["steps"].add.remote(steps)

    try:
        return job["loop"](**{**arguments, "scratch": epath.Path(arguments["scratch"])}, advance=advance)
    except (ValueError, FloatingPointError) as error:
        return error


def _returned(trainer: Any) -> Any:
    from ray.train.v2.api.exceptions import TrainingFailedError

    try:
        found = trainer.fit().return_value
    except TrainingFailedError as error:
        raise RuntimeError(f"the training job failed on the cluster: {error}") from error
    if isinstance(found, Exception):
        raise found
    return found


@contextmanager
def _relayed(steps: Any, advance: Callable[[float], None]) -> Iterator[None]:
    """Tells `advance` of the steps that workers take, while the block runs."""
    import ray

    over = threading.Event()

    def relay() -> None:
        while not over.wait(POLL_SECONDS):
            advance(ray.get(steps.take.remote()))

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        advance(ray.get(steps.take.remote()))
