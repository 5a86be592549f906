"""The terminal's door: `datashop run | status | compare | …`; commands that stand alone are in `terminal/`."""

import sys
import time

import click
import orjson

from datashop_assets.core.status import status, status_of
from datashop_assets.graph import GRAPH, plan
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.protocols.annotator import ModelNames
from datashop_assets.settings import read_settings
from datashop_assets.terminal import tables
from datashop_assets.terminal.compare import compare
from datashop_assets.terminal.compile import compile_for_tpus
from datashop_assets.terminal.completion import completion
from datashop_assets.terminal.data import data
from datashop_assets.terminal.doctor import doctor
from datashop_assets.terminal.estimate import estimate
from datashop_assets.terminal.names import prompt_names, stage_names, store
from datashop_assets.terminal.new_prompt import new_prompt
from datashop_assets.terminal.pin import pin
from datashop_assets.terminal.tasks import tasks
from datashop_assets.terminal.ui import home, ui
from resources.annotator.names import ModelNamesOf

EXAMPLES = """\b
Examples:
  datashop run mathematics                   make all that is missing or stale
  datashop run mathematics --until encoder   stop after the encoder
  datashop estimate mathematics              what it will cost, after asking about 200 documents
  datashop status --json                     what is there, for a machine to read
  datashop prompts check                     what is wrong with the prompt files
  datashop new-prompt                        write a prompt file
  datashop compare mathematics history       two prompts side by side
  datashop doctor                            what is wrong with this machine, and how to mend it

\b
Exit codes:
  0  done    1  a run failed, or something bad was found    2  the command or a file must be mended first
"""
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
CHECK_EXAMPLES = """\b
Examples:
  datashop prompts check                     before a commit, or when the sensor leaves a prompt out
"""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="datashop-assets")
def main() -> None:
    """From a rubric to a filtered pretraining corpus, with error bars.

    Results are under DATASHOP_ROOT (default: datashop_root beside the code), prompt files under DATASHOP_PROMPTS
    (default: prompts), Dagster's own state under DAGSTER_HOME (default: dagster_home). NO_COLOR turns colour off.
    """


for command in (compare, compile_for_tpus, completion, data, doctor, estimate, home, new_prompt, tasks, ui):
    main.add_command(command)


@main.command(epilog=RUN_EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
@click.option(
    "--until", metavar="STAGE", shell_complete=stage_names, help="Stop after this stage (and make all that it needs)."
)
def run(prompt: str, until: str | None) -> None:
    """Make every stage of PROMPT that is missing or stale, as one Dagster run."""
    from datashop_assets.orchestration.launching import launch

    known = store()
    with tables.clear_errors(PromptError, OSError, ValueError):
        planned = plan(known.load(prompt), known.root, _annotator())
        wanted = [name for name in (GRAPH.up_to(_step(until)) if until else GRAPH.names) if name in planned]
    steps, failed = planned.to_do(wanted), False
    if not steps and not planned.blocked(wanted):
        tables.say(f"Nothing to do: all {len(wanted)} stages of {prompt} are current.")
    elif steps:
        from datashop_assets.definitions import definitions

        tables.say(f"{prompt}: {len(steps)} of {len(wanted)} stages to make: {', '.join(steps)}")
        started = time.monotonic()
        failed = not launch(definitions, planned.prompt, steps)
        took = tables.duration(time.monotonic() - started)
        tables.say(
            f"{prompt}: failed after {took}; what is finished is kept. `datashop doctor` checks this machine"
            if failed
            else f"{prompt}: done after {took}"
        )
    after = plan(known.load(prompt), known.root, _annotator())
    blocked = after.blocked(wanted)
    if blocked:
        tables.say(f"{prompt}: {', '.join(blocked)}: blocked by a gate: {next(iter(blocked.values()))}")
    if not failed:
        tables.results(prompt, status_of(after), made=steps)
    sys.exit(1 if failed or blocked else 0)


@main.command("status", epilog=STATUS_EXAMPLES)
@click.argument("prompts", nargs=-1, shell_complete=prompt_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_status(prompts: tuple[str, ...], as_json: bool) -> None:
    """Say for every stage of PROMPTS, or of all, whether it is missing, stale, incomplete or current."""
    known = store()
    with tables.clear_errors(PromptError):
        for slug in prompts:
            known.load(slug)
        annotator = _annotator()
        found = status(known, lambda one: plan(one, known.root, annotator), prompts)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        tables.states(found)


@main.group()
def prompts() -> None:
    """The prompt files."""


@prompts.command(epilog=CHECK_EXAMPLES)
def check() -> None:
    """Check every prompt file. The exit code is 1 if one is bad."""
    known = store()
    with tables.clear_errors(PromptError):
        good, problems = known.slugs(), known.problems()
    for slug in good:
        click.echo(f"{slug}: good")
    for error in problems.values():
        click.secho(str(error), err=True, fg="red")
    sys.exit(1 if problems else 0)


prompts.add_command(pin)


def _annotator() -> ModelNames:
    """What the annotator at hand calls its models; for that not even Dagster is imported."""
    settings = read_settings()
    return ModelNamesOf(settings.annotator, settings.vllm_revision)


def _step(name: str) -> str:
    if name not in GRAPH.names:
        raise ValueError(f"unknown stage {name!r} for --until; the stages are {', '.join(GRAPH.names)}")
    return name
