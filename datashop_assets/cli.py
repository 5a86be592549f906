"""The terminal's door: `datashop run | status | prompts`."""

import sys
import time

import click
import orjson

from datashop_assets import cli_tables as tables
from datashop_assets.planning import plan, to_do, up_to
from datashop_assets.prompts.errors import PromptError
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.status import status, status_of
from datashop_assets.storage.root import default_root

EXAMPLES = """\b
Examples:
  datashop run mathematics                   make all that is missing or stale
  datashop run mathematics --until encoder   stop after the encoder
  datashop status --json                     what is there, for a machine to read
  datashop prompts check                     what is wrong with the prompt files
"""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="datashop-assets")
def main() -> None:
    """From a rubric to a filtered pretraining corpus, with error bars.

    Results are under DATASHOP_ROOT (default: datashop_root beside the code), prompt files under DATASHOP_PROMPTS
    (default: prompts), Dagster's own state under DAGSTER_HOME (default: dagster_home).
    """


@main.command()
@click.argument("prompt")
@click.option("--until", metavar="STAGE", help="Stop after this stage (and make all that it needs).")
def run(prompt: str, until: str | None) -> None:
    """Make every stage of PROMPT that is missing or stale, as one Dagster run."""
    from datashop_assets.launching import launch

    store = _store()
    with tables.clear_errors(PromptError, OSError, ValueError):
        planned = plan(store.load(prompt), store.root)
        wanted = up_to(_stage(until)) if until else list(planned)
    stages = [name for name in to_do(planned) if name in wanted]
    if not stages:
        tables.say(f"Nothing to do: all {len(wanted)} stages of {prompt} are current.")
    else:
        tables.say(f"{prompt}: {len(stages)} of {len(wanted)} stages to make: {', '.join(stages)}")
        started = time.monotonic()
        succeeded = launch(prompt, stages)
        tables.say(f"{prompt}: {'done' if succeeded else 'failed'} after {tables.duration(time.monotonic() - started)}")
        if not succeeded:
            sys.exit(1)
    tables.results(prompt, status_of(plan(store.load(prompt), store.root)), made=stages)


@main.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_status(as_json: bool) -> None:
    """Say for every stage of every prompt whether it is missing, stale or current."""
    store = _store()
    with tables.clear_errors(PromptError):
        found = status(store, store.root)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        tables.states(found)


@main.group()
def prompts() -> None:
    """The prompt files."""


@prompts.command()
def check() -> None:
    """Check every prompt file. The exit code is 1 if one is bad."""
    store = _store()
    with tables.clear_errors(PromptError):
        good, problems = store.slugs(), store.problems()
    for slug in good:
        click.echo(f"{slug}: good")
    for error in problems.values():
        click.secho(str(error), err=True, fg="red")
    sys.exit(1 if problems else 0)


@main.command()
def home() -> None:
    """Make DAGSTER_HOME ready for the UI: its settings, and an end to runs whose process is gone."""
    import dagster as dg

    from datashop_assets.home import dagster_home
    from datashop_assets.run_locks import end_dead_runs

    place = dagster_home()
    with dg.DagsterInstance.get() as instance:
        ended = end_dead_runs(instance)
    tables.say(f"Dagster's state is in {place}" + (f"; {len(ended)} dead runs were ended" if ended else ""))


def _store() -> PromptStore:
    return PromptStore(default_prompts(), default_root())


def _stage(name: str) -> str:
    from datashop_assets.graph import GRAPH

    known = [stage.name for stage in GRAPH]
    if name not in known:
        raise ValueError(f"--until {name!r} is no stage; the stages are {', '.join(known)}")
    return name
