"""`datashop run` and `datashop status`: make what a prompt lacks, and say what there is."""

import sys
import time
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from datashop_assets.blind_test.results import BlindTestResult
from datashop_assets.commands.shared import (
    clear_errors,
    complain,
    deployment,
    duration,
    json_option,
    prompt_names,
    say,
    say_json,
    say_table,
    settings_here,
    stage_names,
)
from datashop_assets.core.plan import Plan, State
from datashop_assets.core.status import StepStatus, problems_of, remarks_of, step_status
from datashop_assets.costs import prices_file
from datashop_assets.data_card.results import DataCardResult
from datashop_assets.documents.left_out import left_out
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult, SourceResult
from datashop_assets.evaluation.results import EvaluationResult, SensitivityResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.graph import GRAPH

if TYPE_CHECKING:
    from rich.table import Table

RUN_EXAMPLES = """\b
Examples:
  datashop run mathematics                   the same command goes on after Ctrl-C or a crash
  datashop run mathematics --until annotations    to read the replies first
"""
STATUS_EXAMPLES = """\b
Examples:
  datashop status                            a line for every prompt and stage
  datashop status mathematics                of one prompt
  datashop status --json | jq -r .prompts.mathematics.data_card.metrics.path
"""
COLOURS = {
    State.CURRENT: "green",
    State.INCOMPLETE: "yellow",
    State.STALE: "yellow",
    State.MISSING: "red",
    State.BLOCKED: "bold red",
    State.DAMAGED: "bold red",
}
SOURCES: dict[str, type[SourceResult]] = {one.step: one for one in (PretrainingPoolResult, AnnotationSampleResult)}
CONTROLS = {"control": "plain", "matched": "matched"}  # matched: with the kept documents' sources and lengths

Stages = Mapping[str, StepStatus]


@click.command(epilog=RUN_EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
@click.option(
    "--until", metavar="STAGE", shell_complete=stage_names, help="Stop after this stage (and make all that it needs)."
)
def run(prompt: str, until: str | None) -> None:
    """Make every stage of PROMPT that is missing or stale, as one Dagster run.

    The exit code is 1 if a stage failed, or if a gate holds stages back.
    """
    from datashop_assets.orchestration.launching import launch

    settings = settings_here()
    here = deployment(settings)
    with clear_errors():
        if until is not None and until not in GRAPH.names:
            raise ValueError(f"unknown stage {until!r} for --until; the stages are {', '.join(GRAPH.names)}")
        plan = here.plan(prompt)
    wanted = stages_until(plan, until)
    steps, failed = plan.to_do(wanted), False
    with clear_errors():
        for name in steps:  # a budget that has no price is refused before anything is made
            plan[name].step.limits(plan.prompt, prices_file(settings))
    if not steps and not plan.blocked(wanted):
        say(f"Nothing to do: all {len(wanted)} stages of {prompt} are current.")
    elif steps:
        from datashop_assets.definitions import definitions

        say(f"{prompt}: {len(steps)} of {len(wanted)} stages to make: {', '.join(steps)}")
        started = time.monotonic()
        failed = not launch(definitions, plan, steps, settings)
        took = duration(time.monotonic() - started)
        if failed:
            say(f"{prompt}: failed after {took}; what is finished is kept. `datashop doctor` checks this machine")
        else:
            say(f"{prompt}: done after {took}")
    with clear_errors():
        now = plan if not steps else here.plan(prompt)
    blocked, stages = now.blocked(wanted), {name: step_status(one) for name, one in now.items()}
    if not failed:
        show_results(prompt, stages, made=steps)
    else:
        _problems(prompt, stages)
    sys.exit(1 if failed or blocked else 0)


def stages_until(plan: Plan, until: str | None) -> list[str]:
    """All stages, or one and what it is made from for this prompt; what the graph allows for others is left out.

    Of a stage that the prompt does not ask for, what stands upstream of it in the graph.
    """
    if until is None:
        return list(plan)
    return [*plan.upstream(until), until] if until in plan else [name for name in GRAPH.up_to(until) if name in plan]


@click.command(epilog=STATUS_EXAMPLES)
@click.argument("prompts", nargs=-1, shell_complete=prompt_names)
@json_option
def status(prompts: tuple[str, ...], as_json: bool) -> None:
    """Say for every stage of PROMPTS, or of all, what state it is in.

    missing, stale, incomplete (some calls failed), damaged (its folder cannot be read), blocked (by a gate upstream) or
    current. For damaged and blocked stages the reason and the fix stand below the table.
    """
    here = deployment(settings_here())
    with clear_errors():
        for slug in prompts:
            here.prompts.load(slug)
        found = here.status(prompts)
    if as_json:
        say_json(found.model_dump_json(indent=2))
        return
    for slug, stages in found.prompts.items():
        _stages(slug, stages)
    for problem in found.problems.values():
        complain(problem)


def show_results(slug: str, stages: Stages, made: Collection[str]) -> None:
    """The end of a run: what each stage took, the comparison, where things are."""

    _stages(slug, stages, made)
    current = {name: stage for name, stage in stages.items() if stage.state is State.CURRENT}
    if evaluated := current.get(EvaluationResult.step):
        evaluation = EvaluationResult.model_validate(evaluated.metrics)
        say_table(_comparison_table(evaluation))
        for reservation in evaluation.reservations:
            say(f"Reservation {reservation}")
        if again := current.get(SensitivityResult.step):
            say(f"Sensitivity {SensitivityResult.model_validate(again.metrics).sentence}")
        say(f"Comparison  {evaluated.path}")
    if tested := current.get(BlindTestResult.step):
        say(f"Blind test  {BlindTestResult.model_validate(tested.metrics).sentence()}")
    if kept := current.get(FilteredPoolResult.step):
        say(f"Kept        {kept.path}")
    if card := current.get(DataCardResult.step):
        say(f"Data card   {DataCardResult.model_validate(card.metrics).path}")
    say("Look at it  datashop ui, then open http://127.0.0.1:3000")


def _stages(slug: str, stages: Stages, made: Collection[str] = ()) -> None:
    """A line for each stage, then what checks remark, then what a person must fix, once for all stages alike."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=slug, title_justify="left", box=None, pad_edge=False)
    for column in ("stage", "state", "rows", "took", ""):
        table.add_column(column, justify="right" if column in ("rows", "took") else "left", overflow="fold")
    for name, stage in stages.items():
        state = "made now" if name in made and stage.state is State.CURRENT else str(stage.state)
        state += f": {stage.failed_calls} failed" if stage.failed_calls else ""
        finished = stage.content_digest is not None
        rows, took = (f"{stage.rows:,}", duration(stage.seconds)) if finished else ("", "")
        table.add_row(name, Text(state, style=COLOURS[stage.state]), rows, took, _headline(name, stage.metrics))
    say_table(table)
    for line in _left_out(stages, made):
        say(f"{slug}: {line}")
    for remark in remarks_of(stages):
        waived = f"\n  Waived: {remark.waived}" if remark.waived else ""
        say(f"{slug}: {remark.step}: check {remark.check}: {remark.said}{waived}")
    _problems(slug, stages)


def _problems(slug: str, stages: Stages) -> None:
    """What a person must fix, with rows that made a gate fail."""
    for problem in problems_of(stages):
        say(f"{slug}: {', '.join(problem.steps)}: {problem.state}: {problem.reason}")
        for line in problem.sample:
            say(f"    {line}")
        say(f"  Fix: {problem.fix}")


def _left_out(stages: Stages, made: Collection[str]) -> Iterator[str]:
    """What of the sources is not among the documents; what a run has made now, it has said it of."""
    said: set[str] = set()
    for name, result in SOURCES.items():
        stage = stages.get(name)
        if stage is None or stage.content_digest is None or name in made:
            continue
        try:
            lines = left_out(result.model_validate(stage.metrics))
        except ValidationError:
            yield f"{name}: what it says of its files cannot be read; its folder is {stage.path}"
            continue
        for line in lines:
            if line not in said:  # the sample is mostly drawn from the pool's files
                said.add(line)
                yield f"{name}: {line}"


def _headline(name: str, metrics: Mapping[str, Any]) -> str:
    values = {path: _value(metrics, path) for path in GRAPH.step(name).result.headlines}
    return "  ".join(
        f"{path.replace('.', ' ')} {f'{value:.3f}' if isinstance(value, float) else value}"
        for path, value in values.items()
        if value is not None
    )


def _value(metrics: Mapping[str, Any], path: str) -> Any:
    """What stands in a result at a path such as `gold.precision`; of a figure its value."""
    value: Any = metrics
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value.get("value") if isinstance(value, Mapping) else value


def _comparison_table(evaluation: EvaluationResult) -> "Table":
    from rich.table import Table

    title = "bits per byte, candidate minus control; below zero is better"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("held-out", "control", "difference", "95% over seeds", "verdict"):
        table.add_column(column, no_wrap=True)
    for one in evaluation.measures:
        interval = "none (one seed)" if one.difference.low is None else one.difference.interval("+.3f")
        table.add_row(one.kind, CONTROLS[one.against], f"{one.difference.value:+.3f}", interval, one.verdict)
    return table
