"""`datashop estimate` and `datashop compile`: what a run will take, and whether its programs fit a TPU slice.

Both before anything runs.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import orjson

from datashop_assets.commands.shared import (
    clear_errors,
    deployment,
    duration,
    json_option,
    prompt_names,
    say,
    say_json,
    say_table,
    settings_here,
)
from datashop_assets.statistics.figure import Figure

if TYPE_CHECKING:
    from datashop_assets.costs import Estimate, StageEstimate

MODELS = ("400m", "1b", "8b")
ENCODERS = ("encoder-tuning", "encoder-scoring")
TOPOLOGIES = ("v6e:2x4", "v6e:8x16", "v6e:16x16")  # v6e-8, v6e-128, v6e-256
ESTIMATE_EXAMPLES = """\b
Examples:
  datashop estimate mathematics                                 asks about 200 documents; their answers are kept
  datashop estimate mathematics --tokens-per-second 20000       asks nothing
  datashop estimate mathematics --hardware v6e-8 --json         at the pace and price of the price table
"""
COMPILE_EXAMPLES = """\b
Examples:
  datashop compile --program 400m --topology v6e:2x4           one model on a v6e-8
  datashop compile --program 8b --topology v6e:16x16 --mesh fsdp=64,tensor=4
  datashop compile                                             all of them, an hour on two cores
"""


@click.command(epilog=ESTIMATE_EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
@click.option("--pilot", default=200, show_default=True, type=click.IntRange(2), help="Documents to ask about.")
@click.option("--tokens-per-second", type=click.FloatRange(min=0, min_open=True), help="Ask nothing; this is the pace.")
@click.option("--hardware", help="What annotation will run on, of the price table; its stated pace is used.")
@json_option
def estimate(prompt: str, pilot: int, tokens_per_second: float | None, hardware: str | None, as_json: bool) -> None:
    """Tokens, hours and money of every stage of PROMPT, with 95% intervals, before it runs.

    The pool's index, the sample and the rubric are made if they are not there. Hours of stages that ask nothing come
    from finished ones under the same root, or from the paces of the price table: infra/prices.yaml, or the file that
    DATASHOP_PRICES names.
    """
    from datashop_assets.core.build import make_step
    from datashop_assets.costs import ASKING_STAGE, Prices, prices_file
    from datashop_assets.estimate import make_estimate, measured_pilot, needed, stated_pilot
    from datashop_assets.runner import local_resources

    settings = settings_here()
    here = deployment(settings)
    with clear_errors():
        prices, plan = Prices.read(prices_file(settings)), here.plan(prompt)
        resources = local_resources(settings)
        stated = tokens_per_second or (prices.of(ASKING_STAGE, hardware)[1].tokens_per_second if hardware else None)
        for name in needed(plan, asks=not stated):
            make_step(name, plan, resources)
        plan = here.plan(prompt)
        found = stated_pilot(plan, pilot, stated) if stated else measured_pilot(plan, resources, pilot)
        made = make_estimate(plan, found, prices, hardware, resources.annotator)
        made.keep(prompt, here.root)
    if as_json:
        say_json(made.model_dump_json(indent=2))
    else:
        show(prompt, made)


def show(slug: str, estimate: "Estimate") -> None:
    """A line for each stage; where all run on one hardware, it stands in the title. Then what reuse saves."""
    from rich.table import Table

    from datashop_assets.costs import amount

    stages = estimate.stages
    places = {stage.hardware for stage in stages.values()}
    title = f"{slug}: estimate, with 95% intervals{f', on {next(iter(places))}' if len(places) == 1 else ''}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("stage", "tokens", "time", estimate.currency, "from"):
        table.add_column(column, no_wrap=column == "stage", overflow="fold")
    for name, stage in stages.items():
        tokens = amount(stage.tokens) if stage.tokens else ""
        source = stage.source if len(places) == 1 else f"{stage.hardware}: {stage.source}"
        table.add_row(name, tokens, _time(stage.hours), amount(stage.money), source)
    hours, money = (_total(stage.hours for stage in stages.values()), _total(stage.money for stage in stages.values()))
    table.add_row("all", "", _time(hours), amount(money), style="bold")
    say_table(table)
    for one in estimate.visible:
        found = "nothing: one seed has no interval" if one.difference is None else f"{one.difference:.3f} bits per byte"
        say(f"Smallest difference found with 80% power, {one.measure}: {found} ({one.source})")
    saved = _total(stage.saved_hours for stage in stages.values() if stage.saved_hours)
    if saved and saved.value:
        reused = [name for name, stage in stages.items() if stage.saved_hours and stage.saved_hours.value]
        say(f"Reuse saves {_time(saved)}: {', '.join(f'{name}{_tokens_saved(stages[name])}' for name in reused)}")


def _tokens_saved(stage: "StageEstimate") -> str:
    tokens = stage.saved_tokens
    return f" ({tokens.value:,.0f} tokens)" if tokens is not None and tokens.value else ""


def _total(figures: Iterable[Figure | None]) -> Figure | None:
    """The sum without an interval: those of the stages are not independent. None where one is unknown."""
    values = [None if figure is None else figure.value for figure in figures]
    known = [value for value in values if value is not None]
    return Figure.exact(sum(known)) if len(known) == len(values) else None


def _time(hours: Figure | None) -> str:
    """A range of hours as durations; blank for nothing to do."""
    if hours is None:
        return "unknown"
    return hours.times(3600).text(duration) if hours.value else ""


@click.command("compile", epilog=COMPILE_EXAMPLES)
@click.option("--program", "programs", type=click.Choice((*MODELS, *ENCODERS)), multiple=True, help="Default: all.")
@click.option("--topology", "topologies", metavar="NAME", multiple=True, help=f"Default: {', '.join(TOPOLOGIES)}.")
@click.option(
    "--mesh", metavar="AXES", help="Of a language model, such as fsdp=32,tensor=4. Default: fsdp, as far as it divides."
)
@click.option("--quick", is_flag=True, help="With the least optimization: memory and communication are not the best.")
def compile_for_tpus(programs: Sequence[str], topologies: Sequence[str], mesh: str | None, quick: bool) -> None:
    """Compile for TPU slices that are not at hand, with `libtpu` (`make libtpu`).

    A line of JSON for each: memory a chip, whether it fits, operations a step, and the communication that the compiler
    put in. The exit code is 1 if one does not fit.
    """
    from datashop_assets.tpu_compilation import compile_program, program, slice_devices

    library, fits = settings_here().tpu_library, True
    for topology in topologies or TOPOLOGIES:
        for name in programs or (*MODELS, *ENCODERS):
            report = compile_program(program(name, slice_devices(topology, library), mesh), topology, quick=quick)
            fits &= report.fits
            say_json(orjson.dumps(asdict(report)))
    sys.exit(0 if fits else 1)
