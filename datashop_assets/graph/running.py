"""Making one stage: find it, wait for it, or build it. Every door goes through here."""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from datashop_assets.graph.planning import Plan, Planned, State, look_again
from datashop_assets.graph.stage import Metrics, StageTask, Tools
from datashop_assets.storage.leases import lease
from datashop_assets.storage.manifest import Manifest, content_digest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

RECORDED = ("jax", "jaxlib", "flax", "optax", "numpy", "polars", "pyarrow", "tokenizers", "fasttext-numpy2-wheel")


@dataclass(frozen=True)
class Outcome:
    """A finished stage, and whether this call built it or found it."""

    output: StageFolder
    reused: bool


def run_stage(name: str, plan: Plan, slug: str, root: Root, tools: Tools) -> Outcome:
    """Makes one stage of a plan, whose inputs must be there. Two callers at once: one builds, the other reuses."""
    planned = look_again(name, plan, tools.annotator)
    reused = planned.state is State.CURRENT
    if not reused:
        with lease(planned.folder) as held:
            planned = look_again(name, plan, tools.annotator)
            reused = planned.state is State.CURRENT or (held.waited and planned.usable)
            if not reused:
                _build(planned, _inputs(planned, plan), root, tools, held.holder)
    outcome = Outcome(StageFolder(planned.folder), reused)
    outcome.output.check()
    root.record_made(slug, name, planned.digest)
    return outcome


def _inputs(planned: Planned, plan: Plan) -> dict[str, StageFolder]:
    inputs = {name: plan[name].output for name in planned.stage.inputs}
    for folder in inputs.values():
        folder.check()
    return inputs


def _build(planned: Planned, inputs: Mapping[str, StageFolder], root: Root, tools: Tools, holder: str) -> None:
    scratch = root.scratch(planned.stage.name, planned.digest)
    scratch.mkdir(parents=True, exist_ok=True)
    writer = StageWriter(planned.folder, scratch, holder)
    writer.begin({name: folder.manifest.content_digest for name, folder in inputs.items()}, planned.usable)
    started = time.monotonic()
    build = planned.stage.resolve()
    task = StageTask(planned.config, inputs, writer, tools, root.cache, root.answers, planned.limits, root.stages)
    metrics = build(task)
    writer.close(_manifest(planned, inputs, writer, metrics, time.monotonic() - started))


def _manifest(
    planned: Planned, inputs: Mapping[str, StageFolder], writer: StageWriter, metrics: Metrics, seconds: float
) -> Manifest:
    files = writer.files()
    return Manifest(
        stage=planned.stage.name,
        plan_digest=planned.digest,
        content_digest=content_digest(files),
        code_version=planned.stage.code_version,
        config=dict(planned.config),
        inputs={
            name: {"plan": folder.manifest.plan_digest, "content": folder.manifest.content_digest}
            for name, folder in inputs.items()
        },
        files=files,
        metrics=metrics,
        seconds=round(seconds, 3),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: found for name in RECORDED if (found := _version(name))},
        machine={"python": platform.python_version(), "processor": platform.machine(), "cores": _cores()},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
