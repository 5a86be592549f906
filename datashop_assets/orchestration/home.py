"""`DAGSTER_HOME`: where Dagster keeps runs and events on this machine."""

import os
import shutil
from pathlib import Path

from datashop_assets.settings import Settings
from datashop_assets.shipped import shipped
from datashop_assets.storage.root import project

SETTINGS = "dagster.yaml"
SHIPPED = f"infra/dagster/local/{SETTINGS}"


def home_folder(settings: Settings) -> Path:
    """The folder that `DAGSTER_HOME` names, else `dagster_home` of the project. Absolute; nothing is made."""
    return Path(settings.dagster_home or project() / "dagster_home").resolve()


def use_home(home: Path) -> None:
    """Makes the folder with Dagster's settings if need be, and names it to Dagster, which asks the environment."""
    home.mkdir(parents=True, exist_ok=True)
    if not (home / SETTINGS).exists():
        shutil.copyfile(shipped(SHIPPED), home / SETTINGS)
    os.environ["DAGSTER_HOME"] = str(home)
