"""`datashop prune`: what no prompt needs any more, with its size, and away with it."""

from itertools import groupby
from typing import TYPE_CHECKING

import click
import orjson

from datashop_assets.commands.shared import (
    clear_errors,
    complain,
    deployment,
    json_option,
    say,
    say_json,
    settings_here,
)

if TYPE_CHECKING:
    from datashop_assets.pruning import Pruning

EXAMPLES = """\b
Examples:
  datashop prune                             lists, and removes nothing
  datashop prune --yes                       removes what it lists
"""


@click.command(epilog=EXAMPLES)
@click.option("--yes", is_flag=True, help="Remove what is listed.")
@json_option
def prune(yes: bool, as_json: bool) -> None:
    """List what no prompt needs any more, with sizes, and remove it with --yes.

    Stages of older versions of prompts or of prompts that are gone, what killed builds left, what was set aside as
    damaged, and what is kept of prompts that are gone, their partitions in Dagster included. Answers are kept. What a
    run uses is left alone.
    """
    from datashop_assets.orchestration.home import home_folder
    from datashop_assets.orchestration.runs import partitions_without_prompt, prompts_in_use_at, remove_partitions
    from datashop_assets.pruning import find_waste, remove

    settings = settings_here()
    here, home = deployment(settings), home_folder(settings)
    with clear_errors():
        running = prompts_in_use_at(home)
        found = find_waste(here, running, complain)
        partitions = partitions_without_prompt(home, {*here.prompts.slugs(), *running})
    if as_json:
        say_json(_as_json(found, partitions))
    else:
        _show(found, partitions)
    if not yes:
        if not as_json and (found.waste or partitions):
            say("Nothing was removed: `datashop prune --yes` removes what is listed.")
        return
    with clear_errors():
        freed = remove(found, complain)
        remove_partitions(home, partitions)
    if not as_json:
        say(f"Removed: {size(freed)} freed.")


def size(count: int) -> str:
    """Bytes, for people."""
    amount, units = float(count), iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while amount >= 1000 and unit != "TB":
        amount, unit = amount / 1000, next(units)
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def _show(found: "Pruning", partitions: list[str]) -> None:
    for kind, group in groupby(found.waste, key=lambda one: one.kind):
        same = list(group)
        say(f"{kind}: {size(sum(one.bytes for one in same))}")
        for one in same:
            say(f"  {size(one.bytes):>10}  {one.place}  ({one.why})")
    if partitions:
        say(f"partitions of Dagster without a prompt: {', '.join(partitions)}")
    for folder, owner in found.in_use.items():
        say(f"in use, and left alone: {folder}, by {owner}")
    if found.waste or partitions:
        say(f"all: {size(found.bytes)}")
    else:
        say("There is nothing that no prompt needs.")


def _as_json(found: "Pruning", partitions: list[str]) -> bytes:
    waste = [
        {"kind": one.kind, "place": one.place, "files": one.files, "bytes": one.bytes, "why": one.why}
        for one in found.waste
    ]
    whole = {"waste": waste, "bytes": found.bytes, "partitions": partitions, "in_use": found.in_use}
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2)
