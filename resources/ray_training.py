"""Training as a Ray Train job, the twin of `InProcessTrainer`: the same loop, on the workers of a cluster.

A worker is a host of a TPU slice, a GPU, or a CPU; `JaxTrainer` starts them and joins their devices into one program. A
worker that is preempted is started again, the others with it, and the loop goes on from its last checkpoint, which
therefore lies where every worker sees it. What the first worker logs comes back as lines of this process's own log.
Tried with one CPU worker and with two that share a model, as hosts of a slice do; on TPUs and GPUs not tried.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datashop_assets.protocols.trainer import Checkpointing
from resources.training import beside

POLL_SECONDS = 2.0
WHILE_IT_TRAINS = Checkpointing(keep=2, asynchronous=True)
LOGGER = "datashop"


class Told:
    """An actor that workers tell of steps done and of lines for the log."""

    def __init__(self) -> None:
        self.done, self.lines = 0.0, list[str]()

    def add(self, steps: float) -> None:
        self.done += steps

    def say(self, line: str) -> None:
        self.lines.append(line)

    def take(self) -> tuple[float, list[str]]:
        found = self.done, self.lines
        self.done, self.lines = 0.0, []
        return found


class Sent(logging.Handler):
    """Sends what a worker logs to a `Told`: all from the first one, of the others, which do the same, warnings."""

    def __init__(self, told: Any, rank: int) -> None:
        super().__init__(logging.WARNING if rank else logging.INFO)
        self.told, self.rank = told, rank

    def emit(self, record: logging.LogRecord) -> None:
        self.told.say.remote(f"worker {self.rank}: {record.getMessage()}")


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
        told = ray.remote(num_cpus=0)(Told).remote()
        job = {
            "loop": loop,
            "arguments": ray.put(arguments),
            "scratch": beside(self.checkpoints, scratch),
            "told": told,
        }
        trainer = JaxTrainer(
            work,
            train_loop_config=job,
            jax_config=self._joined(),
            scaling_config=self._scaling(),
            run_config=self._running(scratch.name),
        )
        with _relayed(told, advance):
            return _returned(trainer)

    def _scaling(self) -> Any:
        from ray.train.v2.api.config import ScalingConfig

        if self.topology:
            return ScalingConfig(
                use_tpu=True, num_workers=self.workers, topology=self.topology, accelerator_type=self.accelerator
            )
        return ScalingConfig(
            num_workers=self.workers, use_gpu=self._with_gpus, resources_per_worker=dict(self.resources)
        )

    def _joined(self) -> Any:
        """Ray joins the devices of TPUs and GPUs by itself, and those of CPUs where it is told to and `JAX_PLATFORMS`
        says that they are some.
        """
        from ray.train.v2.jax.config import JaxConfig

        return JaxConfig(use_tpu=bool(self.topology), use_gpu=self._with_gpus or self._joins_cpus)

    @property
    def _with_gpus(self) -> bool:
        return "GPU" in dict(self.resources)

    @property
    def _joins_cpus(self) -> bool:
        return self.workers > 1 and not self.topology and not self._with_gpus

    def _running(self, name: str) -> Any:
        from ray.train.v2.api.config import FailureConfig, RunConfig

        return RunConfig(
            name=name,
            storage_path=f"{self.checkpoints.rstrip('/')}/ray",
            failure_config=FailureConfig(max_failures=self.restarts),
            worker_runtime_env={"env_vars": {"JAX_PLATFORMS": "cpu"}} if self._joins_cpus else None,
        )


def work(job: Mapping[str, Any]) -> Any:
    """What every worker does. A refusal of the loop is no reason to start again, so it is returned, not raised."""
    import ray
    from etils import epath  # type: ignore[import-untyped]

    rank, told = ray.train.get_context().get_world_rank(), job["told"]
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    logger.addHandler(Sent(told, rank))

    def advance(steps: float) -> None:
        if rank == 0:
            told.add.remote(steps)

    try:
        found = job["loop"](**ray.get(job["arguments"]), scratch=epath.Path(job["scratch"]), advance=advance)
        return None if rank else found  # every worker has it, and one of them sends it
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
def _relayed(told: Any, advance: Callable[[float], None]) -> Iterator[None]:
    """Passes on what workers tell, while the block runs."""
    import ray

    over = threading.Event()

    def take() -> None:
        steps, lines = ray.get(told.take.remote())
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
