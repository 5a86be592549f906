"""A stage: one box of the graph, as its room declares it and as its build function sees it."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.progress import Progress, SilentProgress
from datashop_assets.protocols.trainer import Trainer
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

Metrics = dict[str, Any]
FAILED_CALLS = "failed_calls"  # the metric that says how many documents a further run of the stage asks about again


@dataclass(frozen=True)
class Tools:
    """What a build may use beside its inputs. A stage asks only for what it needs."""

    annotator: Annotator | None = None
    trainer: Trainer | None = None
    compute: Compute | None = None
    progress: Progress = field(default_factory=SilentProgress)


@dataclass(frozen=True)
class StageTask:
    """All that a build function sees: what it depends on is in the plan digest, what it does not is not here."""

    config: Mapping[str, Any]
    inputs: Mapping[str, StageFolder]
    output: StageWriter
    tools: Tools
    cache: Path  # a local folder shared by all stages, for what can be made again
    answers: Folder  # what annotators said, by question; it outlives every stage
    limits: Mapping[str, Any] = field(default_factory=dict)  # what may be spent: no row depends on it
    stages: Folder | None = None  # all stages of the root, for a setting that names a finished one by its digest


@dataclass(frozen=True)
class Stage:
    """A declaration, light enough to be loaded by every process that only plans.

    `config` gives the part of a prompt that the stage's rows depend on. `build` is the import path of the function
    that makes the stage, resolved when it runs, so that planning never imports what computing needs.
    """

    name: str
    code_version: str
    inputs: tuple[str, ...]
    config: Callable[[Prompt], Mapping[str, Any]]
    build: str
    limits: Callable[[Prompt], Mapping[str, Any]] = lambda _: {}  # what a run may spend; in no digest

    def resolve(self) -> Callable[[StageTask], Metrics]:
        return pkgutil.resolve_name(self.build)  # type: ignore[no-any-return]
