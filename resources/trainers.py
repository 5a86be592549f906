"""Where language models train: in this process, or as a Ray Train job whose loop is the same.

A worker of a job is a host of a TPU slice, a GPU, or a CPU; `JaxTrainer` starts them and joins their devices into one
program. A worker that is preempted is started again, the others with it, and the loop goes on from its last checkpoint,
which therefore lies where every worker sees it. What the first worker logs comes back as lines of this process's log.
Tried with one CPU worker and with two that share a model, as hosts of a slice do; on TPUs and GPUs not tried.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from datashop_assets.protocols.trainer import IN_SCRATCH, Checkpointing, Trainer
from resources.workers import LOGGER, ProgressActor, work

if TYPE_CHECKING:
    from ray.train.v2.api.config import RunConfig, ScalingConfig
    from ray.train.v2.jax.config import JaxConfig

POLL_SECONDS = 2.0


class TrainerResource(dg.ConfigurableResource[Trainer], ABC):
    """The fields that all trainers have."""

    mesh: str = Field(
        default="", description="Devices along data, fsdp and tensor, such as fsdp=4,tensor=2; empty: one device"
    )
    checkpoints_kept: int = Field(default=2, gt=0, description="How many checkpoints of each seed are kept")
    checkpoint_seconds: float | None = Field(
        default=None, ge=0, description="Seconds between checkpoints; by default what the loop finds right"
    )

    @property
    def checkpointing(self) -> Checkpointing:
        return Checkpointing(seconds=self.checkpoint_seconds, keep=self.checkpoints_kept, asynchronous=True)

    @abstractmethod
    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        """Calls the loop and returns what it returned; see `Trainer`."""


class LocalTrainer(TrainerResource):
    """Trains in the step's own process, on whatever devices JAX finds."""

    checkpoints: str = Field(
        default="",
        description="A folder or bucket for checkpoints that stays; empty: the step's scratch folder",
    )

    @property
    def checkpointing(self) -> Checkpointing:
        return super().checkpointing if self.checkpoints else IN_SCRATCH

    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        if not self.checkpoints:
            return loop(**arguments)
        from etils import epath  # type: ignore[import-untyped]

        scratch = epath.Path(place_of(self.checkpoints, arguments.pop("scratch")))
        return loop(scratch=scratch, **arguments)


class RayTrainer(TrainerResource):
    """Trains on the workers of a Ray cluster, which sees the same storage and packages.

    With `topology` and `accelerator` a worker is a host of a TPU slice; without them it has `worker_resources`.
    """

    address: str = Field(description="The cluster's address, such as ray://HOST:10001")
    checkpoints: str = Field(description="A folder or bucket for checkpoints, which all workers see")
    workers: int = Field(default=1, gt=0, description="Workers: hosts of the TPU slice, else GPUs or CPUs")
    topology: str = Field(default="", description="The TPU slice, such as 4x4; empty: no TPU")
    accelerator: str = Field(default="", description="Ray's name of the slice's chips, such as TPU-V6E")
    worker_resources: dict[str, float] = Field(
        default={"CPU": 1}, description="What a worker takes where it is no TPU host, such as {GPU: 1}"
    )
    restarts: int = Field(default=20, ge=0, description="How often a job whose workers were lost is started again")

    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        """Returns what the first worker returned. Raises what the loop refused, `RuntimeError` for a lost cluster."""
        import ray
        from ray.train.v2.jax import JaxTrainer

        if not ray.is_initialized():
            ray.init(self.address, log_to_driver=False, configure_logging=False)
        advance, scratch = arguments.pop("advance"), Path(arguments.pop("scratch"))
        progress = ray.remote(num_cpus=0)(ProgressActor).remote()
        job = {
            "loop": loop,
            "arguments": ray.put(arguments),
            "scratch": place_of(self.checkpoints, scratch),
            "progress": progress,
        }
        trainer = JaxTrainer(
            work,
            train_loop_config=job,
            jax_config=self.jax_config(),
            scaling_config=self.scaling_config(),
            run_config=self.run_config(scratch.name),
        )
        with _relayed(progress, advance):
            return _returned(trainer)

    def scaling_config(self) -> "ScalingConfig":
        from ray.train.v2.api.config import ScalingConfig

        if self.topology:
            return ScalingConfig(
                use_tpu=True,
                num_workers=self.workers,
                topology=self.topology,
                accelerator_type=self.accelerator or None,
            )
        return ScalingConfig(
            num_workers=self.workers, use_gpu=self._with_gpus, resources_per_worker=dict(self.worker_resources)
        )

    def jax_config(self) -> "JaxConfig":
        """Ray joins the devices of TPUs and GPUs by itself, and those of CPUs where it is asked to and `JAX_PLATFORMS`
        says that they are some.
        """
        from ray.train.v2.jax.config import JaxConfig

        return JaxConfig(use_tpu=bool(self.topology), use_gpu=self._with_gpus or self._joins_cpus)

    def run_config(self, name: str) -> "RunConfig":
        from ray.train.v2.api.config import FailureConfig, RunConfig

        return RunConfig(
            name=name,
            storage_path=f"{self.checkpoints.rstrip('/')}/ray",
            failure_config=FailureConfig(max_failures=self.restarts),
            worker_runtime_env={"env_vars": {"JAX_PLATFORMS": "cpu"}} if self._joins_cpus else None,
        )

    @property
    def _with_gpus(self) -> bool:
        return "GPU" in self.worker_resources

    @property
    def _joins_cpus(self) -> bool:
        return self.workers > 1 and not self.topology and not self._with_gpus


def place_of(checkpoints: str, scratch: Path) -> str:
    """The folder under `checkpoints` that stands for a step's scratch folder: named by step and digest."""
    return f"{checkpoints.rstrip('/')}/{scratch.parent.name}/{scratch.name}"


def _returned(trainer: Any) -> Any:
    from ray.train.v2.api.exceptions import TrainingFailedError

    try:
        result = trainer.fit().return_value
    except TrainingFailedError as error:
        raise RuntimeError(f"the training job failed on the cluster: {error}") from error
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def _relayed(progress: Any, advance: Callable[[float], None]) -> Iterator[None]:
    """Passes on what workers report, while the block runs."""
    import ray

    over = threading.Event()

    def take() -> None:
        steps, lines = ray.get(progress.take.remote())
        advance(steps)
        for line in lines:
            logging.getLogger(LOGGER).info(line)

    def relay() -> None:
        while not over.wait(POLL_SECONDS):
            take()

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        take()
