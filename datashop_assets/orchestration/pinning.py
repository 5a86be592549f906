"""One plan a run, of one version of its prompt, whatever the prompt file says in the meantime.

The sensor and the terminal tag a run with the version that they start it for; a run that a person launches in the UI is
pinned to what the file says when its first step begins. Every further process of the run, with an executor of
processes one a step, reads the pin and plans the same, or fails with what has changed.
"""

import dagster as dg

from datashop_assets.core.plan import Graph, Plan, make_plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.prompts.versions import Pin, PromptVersions, version_of
from datashop_assets.protocols.annotator import ModelNames

VERSION = "datashop/prompt_version"  # the tag of a run that was started for one version of its prompt
PARENT, RETRY = "dagster/parent_run_id", "dagster/retry_number"
_plans: dict[tuple[str, str], Plan] = {}  # of the run that this process executes


class ChangedInRunError(ValueError):
    """What a run is made from is not what it was when the run began, beside the prompt, to which the run is pinned."""


def hand_down(run_id: str, plan: Plan) -> None:
    """Pins a run to a plan that this process has made, and which its steps then use."""
    _pin(run_id, plan)
    _plans.clear()
    _plans[run_id, plan.prompt.slug] = plan


def plan_of_run(
    run: dg.DagsterRun, slug: str, graph: Graph, prompts: PromptStore, annotator: ModelNames | None
) -> Plan:
    """The plan that the run is pinned to. Raises `ChangedInRunError`, and `PromptError` where the version is gone."""
    if (run.run_id, slug) not in _plans:
        plan = _plan(run, slug, graph, prompts, annotator)
        _plans.clear()
        _plans[run.run_id, slug] = plan
    return _plans[run.run_id, slug]


def started_for(run: dg.DagsterRun) -> str | None:
    """The version of the prompt that a run was started for; None where its first step decides.

    A person who executes an older run again wants the prompt as it is now; an automatic retry wants what failed.
    """
    by_a_person = PARENT in run.tags and RETRY not in run.tags
    return None if by_a_person else run.tags.get(VERSION)


def _plan(run: dg.DagsterRun, slug: str, graph: Graph, prompts: PromptStore, annotator: ModelNames | None) -> Plan:
    versions = PromptVersions(prompts.root, slug)
    pinned, tagged = versions.pinned(run.run_id), started_for(run)
    if pinned is None:
        prompt = prompts.load(slug) if tagged is None else versions.load(tagged)
        plan = make_plan(graph, prompt, prompts.root, annotator)
        pinned = _pin(run.run_id, plan)
        if pinned.version == version_of(prompt):
            return plan
    plan = make_plan(graph, versions.load(pinned.version), prompts.root, annotator)
    now = {name: one.digest for name, one in plan.items()}
    if changed := [name for name, digest in pinned.steps.items() if now.get(name) != digest]:
        raise ChangedInRunError(
            f"since this run of {slug!r} began, the files that {changed[0]} is made from or the code have changed, and "
            f"so {', '.join(changed)} would be another; start a new run"
        )
    return plan


def _pin(run_id: str, plan: Plan) -> Pin:
    versions = PromptVersions(plan.root, plan.prompt.slug)
    version = versions.keep(plan.prompt)
    return versions.pin(run_id, Pin(version=version, steps={name: one.digest for name, one in plan.items()}))
