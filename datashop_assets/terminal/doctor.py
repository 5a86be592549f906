"""`datashop doctor`: what is wrong with this machine's set-up, and how to mend it."""

import sys

import click
import orjson

from datashop_assets.terminal.showing import findings

EXAMPLES = """\b
Examples:
  datashop doctor                            what works, what does not, and the mend
  datashop doctor --json                     the same for a machine to read
"""


@click.command(epilog=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Check environment, storage, prompts, annotator and accelerator. The exit code is 1 if a run would fail."""
    from datashop_assets.doctor.examine import examine

    found = examine()
    if as_json:
        shown = [{"name": one.name, "state": one.state, "says": one.says, "mend": one.mend} for one in found]
        click.echo(orjson.dumps({"checks": shown}, option=orjson.OPT_INDENT_2))
    else:
        findings(found)
    sys.exit(1 if any(one.state == "bad" for one in found) else 0)
