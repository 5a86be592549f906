"""The plan: for every stage of a prompt, which folder holds it and whether that folder is there.

It is the one truth that `datashop status`, the sensor and the checks "matches the prompt file" act on. Nothing is
computed: a plan digest follows from the prompt, the stages' code versions and the fingerprints of the sources. Where an
input was made again with other content (after failed calls were repeated), the manifests say so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from datashop_assets.graph.revisions import another_revision
from datashop_assets.graph.stage import FAILED_CALLS, Stage
from datashop_assets.graph.stages import GRAPH
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import MANIFEST, Manifest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder


class State(StrEnum):
    MISSING = "missing"  # never made for this prompt
    STALE = "stale"  # made, but the prompt, sources, code, an input's content or the annotator have changed since
    INCOMPLETE = "incomplete"  # made and of use, but for documents whose calls failed; a run asks about those again
    CURRENT = "current"


@dataclass(frozen=True)
class Planned:
    """One stage of one prompt: its plan digest and where its output belongs."""

    stage: Stage
    digest: str
    config: Mapping[str, Any]
    folder: Folder
    state: State = State.MISSING
    changed: Mapping[str, str] = field(default_factory=dict)  # what is another now -> that: inputs' content, a revision
    failed_calls: int = 0
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether other stages may be made from this one."""
        return self.state in (State.CURRENT, State.INCOMPLETE)

    @property
    def output(self) -> StageFolder:
        return StageFolder(self.folder)


Plan = Mapping[str, Planned]


def plan(prompt: Prompt, root: Root, annotator: Annotator | None = None) -> dict[str, Planned]:
    """Every stage in the order of the graph. Raises what a source raises that cannot be found.

    With the annotator at hand, what another revision of its model has answered is stale too; see `revisions`.
    """
    planned: dict[str, Planned] = {}
    contents: dict[str, str] = {}
    made = root.made(prompt.slug)
    for stage in GRAPH:
        config = dict(stage.config(prompt))
        digest = plan_digest(stage, config, (planned[name].digest for name in stage.inputs))
        unseen = Planned(stage, digest, config, root.stage(stage.name, digest), limits=stage.limits(prompt))
        manifest = _manifest(unseen.folder)
        planned[stage.name] = _seen(unseen, manifest, contents, annotator, stage.name in made)
        if manifest is not None:
            contents[stage.name] = manifest.content_digest
    return planned


def look_again(name: str, plan: Plan, annotator: Annotator | None = None) -> Planned:
    """A stage as it stands now: it, or what it is made from, may have been made since the plan."""
    planned, manifest = plan[name], _manifest(plan[name].folder)
    inputs = () if manifest is None else manifest.inputs
    contents = {each: found.content_digest for each in inputs if (found := _manifest(plan[each].folder))}
    return _seen(planned, manifest, contents, annotator, planned.state is not State.MISSING)


def plan_digest(stage: Stage, config: Mapping[str, Any], inputs: Iterable[str]) -> str:
    return digest_of(
        {"stage": stage.name, "code_version": stage.code_version, "config": config, "inputs": list(inputs)}
    )


def digest_of_plan(plan: Plan) -> str:
    """One digest for all stages: it changes when anything that would be computed does."""
    return digest_of({name: [planned.digest, planned.changed] for name, planned in plan.items()})


def to_do(plan: Plan) -> list[str]:
    """The stages that are not current, and those whose input may become another by that, in the order of the graph."""
    found: list[str] = []
    changing: set[str] = set()
    for name, planned in plan.items():
        if planned.state is State.INCOMPLETE or planned.changed or changing.intersection(planned.stage.inputs):
            changing.add(name)
        if planned.state is not State.CURRENT or name in changing:
            found.append(name)
    return found


def up_to(name: str) -> list[str]:
    """A stage and everything upstream of it, in the order of the graph. Raises `KeyError` for an unknown name."""
    inputs = {stage.name: stage.inputs for stage in GRAPH}
    wanted, queue = {name}, list(inputs[name])
    while queue:
        wanted.add(each := queue.pop())
        queue.extend(inputs[each])
    return [stage.name for stage in GRAPH if stage.name in wanted]


def nearest(names: Iterable[str]) -> list[str]:
    """Of these stages those that no other of them is made from: with all that is upstream of them, they are all."""
    names = list(names)
    upstream = {each for name in names for each in up_to(name) if each != name}
    return [name for name in names if name not in upstream]


def _seen(
    planned: Planned,
    manifest: Manifest | None,
    contents: Mapping[str, str],
    annotator: Annotator | None,
    made_before: bool,
) -> Planned:
    """`contents` are the content digests of the stages upstream that are there."""
    if manifest is None:
        state = State.CURRENT if planned.folder.exists(MANIFEST) else State.STALE if made_before else State.MISSING
        return replace(planned, state=state, changed={}, failed_calls=0)
    now = {name: contents[name] for name in manifest.inputs if name in contents}
    changed = {name: content for name, content in now.items() if content != manifest.inputs[name]["content"]}
    changed |= another_revision(planned.config, manifest.metrics, annotator)
    failed = int(manifest.metrics.get(FAILED_CALLS, 0))
    state = State.STALE if changed else State.INCOMPLETE if failed else State.CURRENT
    return replace(planned, state=state, changed=changed, failed_calls=failed)


def _manifest(folder: Folder) -> Manifest | None:
    """None where there is none, and where it is damaged: that is said by whoever reads the stage."""
    try:
        return StageFolder(folder).manifest
    except DamagedStageError:
        return None
