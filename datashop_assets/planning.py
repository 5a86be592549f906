"""The plan: for every stage of a prompt, which folder holds it and whether that folder is there.

It is the one truth that `datashop status`, the sensor and the checks "matches the prompt file" act on. Nothing is
computed: a plan digest follows from the prompt, the stages' code versions and the fingerprints of the sources.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from datashop_assets.graph import GRAPH
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.stage import Stage
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import MANIFEST
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import StageFolder


class State(StrEnum):
    MISSING = "missing"  # never made for this prompt
    STALE = "stale"  # made, but the prompt, its sources or the code have changed since
    CURRENT = "current"


@dataclass(frozen=True)
class Planned:
    """One stage of one prompt: its plan digest and where its output belongs."""

    stage: Stage
    digest: str
    config: Mapping[str, Any]
    state: State
    folder: Folder

    @property
    def output(self) -> StageFolder:
        return StageFolder(self.folder)


Plan = Mapping[str, Planned]


def plan(prompt: Prompt, root: Root) -> dict[str, Planned]:
    """Every stage in the order of the graph. Raises what a source raises that cannot be found."""
    planned: dict[str, Planned] = {}
    made = root.made(prompt.slug)
    for stage in GRAPH:
        config = dict(stage.config(prompt))
        digest = plan_digest(stage, config, (planned[name].digest for name in stage.inputs))
        folder = root.stage(stage.name, digest)
        planned[stage.name] = Planned(stage, digest, config, _state(folder, stage.name in made), folder)
    return planned


def plan_digest(stage: Stage, config: Mapping[str, Any], inputs: Iterable[str]) -> str:
    return digest_of(
        {"stage": stage.name, "code_version": stage.code_version, "config": config, "inputs": list(inputs)}
    )


def digest_of_plan(plan: Plan) -> str:
    """One digest for all stages: it changes when anything that would be computed does."""
    return digest_of({name: planned.digest for name, planned in plan.items()})


def to_do(plan: Plan) -> list[str]:
    """The stages that are not current, in the order of the graph."""
    return [name for name, planned in plan.items() if planned.state is not State.CURRENT]


def up_to(name: str) -> list[str]:
    """A stage and everything upstream of it, in the order of the graph. Raises `KeyError` for an unknown name."""
    inputs = {stage.name: stage.inputs for stage in GRAPH}
    wanted, queue = {name}, list(inputs[name])
    while queue:
        wanted.add(each := queue.pop())
        queue.extend(inputs[each])
    return [stage.name for stage in GRAPH if stage.name in wanted]


def _state(folder: Folder, made_before: bool) -> State:
    if folder.exists(MANIFEST):
        return State.CURRENT
    return State.STALE if made_before else State.MISSING
