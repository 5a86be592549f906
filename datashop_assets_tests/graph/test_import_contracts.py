"""Import contracts name packages one by one: none of the product's escapes them by being new."""

import configparser
from pathlib import Path

import datashop_assets

CONTRACTS = Path(__file__).parents[2] / ".importlinter"
PRODUCT = Path(datashop_assets.__path__[0])
DAGSTER = {"definitions", "orchestration"}  # may import Dagster
RESOURCES = DAGSTER | {"deployment", "doctor", "runner"}  # may import resources
FOR_RESOURCES = {  # what resources may import
    *("asking", "data_packages", "datasets", "excerpts", "machine", "markdown", "models", "printable", "processes"),
    *("prompts", "protocols", "same_origin", "settings", "shipped", "statistics", "storage", "terminal"),
}


def named(contract: str, field: str) -> set[str]:
    """The modules that a contract lists, without `datashop_assets.` before them."""
    parser = configparser.ConfigParser()
    parser.read(CONTRACTS)
    lines = parser[f"importlinter:contract:{contract}"][field].split()
    return {line.removeprefix("datashop_assets.") for line in lines}


def top_level() -> set[str]:
    packages = {place.parent.name for place in PRODUCT.glob("*/__init__.py")}
    return packages | {place.stem for place in PRODUCT.glob("*.py")} - {"__init__"}


def steps() -> set[str]:
    return {place.parent.name for place in PRODUCT.glob("*/steps.py")}


def test_whatever_may_not_import_dagster_or_resources_is_held_to_it() -> None:
    assert named("dagster", "source_modules") == top_level() - DAGSTER
    assert named("resources", "source_modules") == top_level() - RESOURCES


def test_resources_are_kept_from_all_that_is_not_meant_for_them() -> None:
    assert named("resources-below", "forbidden_modules") == top_level() - FOR_RESOURCES


def test_every_package_of_steps_is_kept_from_the_declarations_of_the_others() -> None:
    assert named("steps", "source_modules") == steps()
    assert named("steps", "forbidden_modules") == {f"{name}.steps" for name in steps()}
