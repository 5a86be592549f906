"""`datashop tasks`: the trained models on tasks of lm-evaluation-harness."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from datashop_assets.prompts.parsing import PromptError
from datashop_assets.shipped import shipped
from datashop_assets.terminal import tables
from datashop_assets.terminal.names import prompt_names, store

if TYPE_CHECKING:
    from datashop_assets.core.plan import Plan

PEERS = ".venv-peers/bin/python"
MODELS = {"control": "control_lm", "matched": "matched_lm", "trained": "trained_lm"}
EXAMPLES = """\b
Examples:
  datashop tasks mathematics arc_easy hellaswag            by name, from the Hugging Face hub
  datashop tasks mathematics my_task --include tasks/      task files of your own, in the harness's format
  datashop tasks mathematics mmlu --limit 20 --json        a quick look
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
@click.argument("names", metavar="TASK...", nargs=-1, required=True)
@click.option("--include", type=click.Path(exists=True, path_type=Path), help="A folder of task files.")
@click.option("--limit", type=click.IntRange(1), help="Documents of each task.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def tasks(prompt: str, names: tuple[str, ...], include: Path | None, limit: int | None, as_json: bool) -> None:
    """Run TASKs of lm-evaluation-harness on every seed of PROMPT's models, and compare them.

    Better, worse or not distinguishable by paired differences over seeds, corrected for the number of comparisons. The
    harness is in an environment of its own: `make peers`.
    """
    from datashop_assets.evaluation.harness import scores
    from datashop_assets.evaluation.tasks import compared, table
    from datashop_assets.graph import plan

    with tables.clear_errors(PromptError, OSError, ValueError, RuntimeError):
        known = store()
        found = {
            model: [scores(folder, names, python=shipped(PEERS), include=include, limit=limit) for folder in seeds]
            for model, seeds in _seeds(plan(known.load(prompt), known.root)).items()
        }
        rows = compared(found, names)
    whole = orjson.dumps({"scores": found, "compared": rows}, option=orjson.OPT_INDENT_2)
    click.echo(whole if as_json else table(rows))


def _seeds(planned: "Plan") -> dict[str, list[Path]]:
    """The folders of every seed, by model. Raises `ValueError` where the models are not made as the prompt says."""
    from datashop_assets.trained_lm.export import model_folder, seeds_of

    if missing := [stage for stage in MODELS.values() if not planned[stage].usable]:
        raise ValueError(f"{', '.join(missing)}: not made as the prompt file says now; run the prompt first")
    outputs = {name: planned[stage].output for name, stage in MODELS.items()}
    asked = {name: one for name, one in outputs.items() if one.metrics.get("status") != "not asked"}
    return {name: [model_folder(one, seed) for seed in seeds_of(one)] for name, one in asked.items()}
