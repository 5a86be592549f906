"""`datashop estimate`: what a prompt will cost."""

from collections.abc import Mapping
from typing import Any

import click
import orjson

from datashop_assets.prompts.parsing import PromptError
from datashop_assets.statistics.figure import Figure
from datashop_assets.terminal import tables
from datashop_assets.terminal.names import prompt_names, store

NEEDED = ("pretraining_pool", "annotation_sample", "rubric")
EXAMPLES = """\b
Examples:
  datashop estimate mathematics                                 asks about 200 documents; their answers are kept
  datashop estimate mathematics --tokens-per-second 20000       asks nothing
  datashop estimate mathematics --hardware v6e-8 --json         at the pace and price of the price table
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
@click.option("--pilot", default=200, show_default=True, type=click.IntRange(2), help="Documents to ask about.")
@click.option("--tokens-per-second", type=click.FloatRange(min=0, min_open=True), help="Ask nothing; this is the pace.")
@click.option("--hardware", help="What annotation will run on, of the price table; its stated pace is used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def estimate(prompt: str, pilot: int, tokens_per_second: float | None, hardware: str | None, as_json: bool) -> None:
    """Tokens, hours and money of every stage of PROMPT, with 95% intervals, before it runs.

    The pool's index, the sample and the rubric are made if they are not there. Hours of stages that ask nothing come
    from finished ones under the same root, or from the paces of the price table: infra/prices.yaml, or the file that
    DATASHOP_PRICES names.
    """
    with tables.clear_errors(PromptError, OSError, ValueError):
        found = _estimate(prompt, pilot, tokens_per_second, hardware)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        show(prompt, found)


def _estimate(slug: str, count: int, pace: float | None, hardware: str | None) -> dict[str, Any]:
    from datashop_assets.core.build import make_step
    from datashop_assets.estimating.estimate import Estimate, keep
    from datashop_assets.estimating.pilot import asked_pilot, stated_pilot
    from datashop_assets.estimating.prices import prices
    from datashop_assets.graph import plan
    from datashop_assets.runner import local_resources

    known, table, resources = store(), prices(), local_resources()
    prompt, root = known.load(slug), known.root
    stated = pace or (table.of("annotations", hardware)[1].tokens_per_second if hardware else None)
    planned = plan(prompt, root, resources.annotator)
    for name in NEEDED:
        make_step(name, planned, resources)
    planned = plan(prompt, root, resources.annotator)
    found = stated_pilot(planned, count, stated) if stated else asked_pilot(planned, resources, root.answers, count)
    made = Estimate(prompt, planned, found, root, table, hardware).made()
    keep(made, slug, root)
    return made


def show(slug: str, found: dict[str, Any]) -> None:
    """A line a stage; where all run on one hardware, it stands in the title."""
    from rich.console import Console
    from rich.table import Table

    from datashop_assets.estimating.beside import shown

    stages = found["stages"]
    places = {line["hardware"] for line in stages.values()}
    title = f"{slug}: estimate, with 95% intervals{f', on {next(iter(places))}' if len(places) == 1 else ''}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("stage", "tokens", "time", found["currency"], "from"):
        table.add_column(column, no_wrap=column == "stage", overflow="fold")
    for name, line in stages.items():
        tokens = shown(line["tokens"]) if line["tokens"] else ""
        origin = line["from"] if len(places) == 1 else f"{line['hardware']}: {line['from']}"
        table.add_row(name, tokens, _time(line["hours"]), shown(line["money"]), origin)
    table.add_row("all", "", _time(_total(stages, "hours")), shown(_total(stages, "money")), style="bold")
    Console().print(table)


def _total(stages: Mapping[str, Any], what: str) -> dict[str, float | None] | None:
    """The sum over stages, without an interval: those of the stages are not independent. None where one is unknown."""
    values = [line[what] and line[what]["value"] for line in stages.values()]
    return None if None in values else Figure.exact(sum(values)).as_json()


def _time(hours: Mapping[str, float | None] | None) -> str:
    """A range of hours as durations; blank for nothing to do."""
    figure = Figure.from_json(hours)
    if figure is None:
        return "unknown"
    return figure.times(3600).text(tables.duration) if figure.value else ""
