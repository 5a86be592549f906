"""`datashop compare` and `datashop tasks`: what came of prompts, side by side and on tasks of lm-evaluation-harness."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from datashop_assets.commands.shared import (
    clear_errors,
    deployment,
    json_option,
    prompt_names,
    say,
    say_json,
    say_table,
    settings_here,
)
from datashop_assets.markdown import unescaped
from datashop_assets.shipped import shipped

if TYPE_CHECKING:
    from datashop_assets.core.plan import Plan

PEERS = ".venv-peers/bin/python"
COMPARE_EXAMPLES = """\b
Examples:
  datashop compare mathematics history       overlap, ranks, sources, cost and benefit
  datashop compare a b c --json              the same for a machine to read
"""
TASKS_EXAMPLES = """\b
Examples:
  datashop tasks mathematics arc_easy hellaswag            by name, from the Hugging Face hub
  datashop tasks mathematics my_task --include tasks/      task files of your own, in the harness's format
  datashop tasks mathematics mmlu --limit 20 --json        a quick look
"""


@click.command(epilog=COMPARE_EXAMPLES)
@click.argument("prompts", nargs=-1, required=True, shell_complete=prompt_names)
@json_option
def compare(prompts: tuple[str, ...], as_json: bool) -> None:
    """Compare two or more PROMPTS that have filtered the same pool."""
    from datashop_assets.prompt_comparison.compare import compare as compared
    from datashop_assets.prompt_comparison.compare import compared_prompt
    from datashop_assets.prompt_comparison.report import report

    here = deployment(settings_here())
    with clear_errors():
        if len(set(prompts)) < 2:
            raise ValueError("compare takes two or more different prompts, such as `datashop compare a b`")
        plans = [here.plan(slug) for slug in dict.fromkeys(prompts)]
        found = compared([compared_prompt(plan) for plan in plans])
    if as_json:
        say_json(found.model_dump_json(indent=2))
    elif sys.stdout.isatty():
        from rich.markdown import Markdown

        say_table(Markdown(report(found), hyperlinks=False))
    else:
        say(unescaped(report(found)))


@click.command(epilog=TASKS_EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
@click.argument("names", metavar="TASK...", nargs=-1, required=True)
@click.option("--include", type=click.Path(exists=True, path_type=Path), help="A folder of task files.")
@click.option("--limit", type=click.IntRange(1), help="Documents of each task.")
@json_option
def tasks(prompt: str, names: tuple[str, ...], include: Path | None, limit: int | None, as_json: bool) -> None:
    """Run TASKs of lm-evaluation-harness on every seed of PROMPT's models, and compare them.

    Better, worse or not distinguishable by paired differences over seeds, corrected for the number of comparisons. The
    harness is in an environment of its own: `make peers`.
    """
    from datashop_assets.evaluation.harness import compared, scores, table

    here = deployment(settings_here())
    with clear_errors(RuntimeError):
        found = {
            model: [scores(folder, names, python=shipped(PEERS), include=include, limit=limit) for folder in seeds]
            for model, seeds in _seeds(here.plan(prompt)).items()
        }
        measures = compared(found, names)
    rows = [measure.model_dump(mode="json") for measure in measures]
    whole = orjson.dumps({"scores": found, "compared": rows}, option=orjson.OPT_INDENT_2)
    if as_json:
        say_json(whole)
    else:
        say(table(measures))


def _seeds(plan: "Plan") -> dict[str, list[Path]]:
    """The folders of every seed, by model. Raises `ValueError` where the models are not made as the prompt says."""
    from datashop_assets.trained_lm.results import (
        ControlLMResult,
        MatchedLMResult,
        TrainedLMResult,
        model_folder,
        seeds_of,
    )

    models = {"control": ControlLMResult.step, "matched": MatchedLMResult.step, "trained": TrainedLMResult.step}
    planned = {name: plan[step] for name, step in models.items() if step in plan}
    if missing := [one.step.name for one in planned.values() if not one.usable]:
        raise ValueError(f"{', '.join(missing)}: not made as the prompt file says now; run the prompt first")
    outputs = {name: one.output for name, one in planned.items()}
    return {name: [model_folder(one, seed) for seed in seeds_of(one)] for name, one in outputs.items()}
