"""`DAGSTER_HOME`: where Dagster keeps runs and events on this machine."""

import os
import shutil
from pathlib import Path

from datashop_assets.settings import read_settings
from datashop_assets.shipped import shipped
from datashop_assets.storage.root import project

SETTINGS = "dagster.yaml"
SHIPPED = f"infra/dagster/local/{SETTINGS}"


def home_folder() -> Path:
    """The folder that `DAGSTER_HOME` names, else `dagster_home` of the project. Absolute; nothing is made."""
    return Path(read_settings().dagster_home or project() / "dagster_home").resolve()


def dagster_home() -> Path:
    """`home_folder`, made with its settings if need be.

    Sets `DAGSTER_HOME` to its absolute path, which Dagster asks for.
    """
    home = home_folder()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / SETTINGS).exists():
        shutil.copyfile(shipped(SHIPPED), home / SETTINGS)
    os.environ["DAGSTER_HOME"] = str(home)
    return home
