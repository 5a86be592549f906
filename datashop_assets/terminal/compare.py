"""`datashop compare`: prompts side by side."""

import sys

import click
import orjson

from datashop_assets.prompts.parsing import PromptError
from datashop_assets.terminal import tables
from datashop_assets.terminal.names import prompt_names, store
from datashop_assets.terminal.showing import markdown

EXAMPLES = """\b
Examples:
  datashop compare mathematics history       overlap, ranks, sources, cost and benefit
  datashop compare a b c --json              the same for a machine to read
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompts", nargs=-1, required=True, shell_complete=prompt_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compare(prompts: tuple[str, ...], as_json: bool) -> None:
    """Compare two or more PROMPTS that have filtered the same pool."""
    from datashop_assets.graph import plan
    from datashop_assets.prompt_comparison.compare import compare as compared
    from datashop_assets.prompt_comparison.report import report
    from datashop_assets.prompt_comparison.sides import side

    with tables.clear_errors(PromptError, OSError, ValueError):
        if len(set(prompts)) < 2:
            raise ValueError("compare takes two or more different prompts, such as `datashop compare a b`")
        known = store()
        loaded = {slug: known.load(slug) for slug in prompts}
        found = compared([side(slug, plan(prompt, known.root)) for slug, prompt in loaded.items()])
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    elif sys.stdout.isatty():
        markdown(report(found))
    else:
        click.echo(report(found))
