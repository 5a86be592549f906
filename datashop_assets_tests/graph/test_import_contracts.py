"""Import contracts name packages one by one: none of the product's escapes them by being new."""

import ast
import configparser
import re
from collections import Counter
from pathlib import Path

import datashop_assets
from datashop_assets.models.fasttext.classifier import TRAINING_PROCESS
from datashop_assets.orchestration.services import WEBSERVER
from datashop_assets.processes.child import SUPERVISOR

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


def test_no_folder_of_modules_is_hidden_from_the_contracts() -> None:
    """Modules of a folder that is no package are in no import graph, and break no contract."""
    parser = configparser.ConfigParser()
    parser.read(CONTRACTS)
    packages = parser["importlinter"]["root_packages"].split()
    assert parser["importlinter:contract:acyclic"]["ancestors"].split() == packages
    modules = [place for package in packages for place in (CONTRACTS.parent / package).rglob("*.py")]
    assert {place.parent for place in modules} == {place.parent for place in modules if place.name == "__init__.py"}


def test_dagsters_private_modules_are_imported_by_one_module_which_says_what_would_replace_that() -> None:
    private = re.compile(r"^\s*(?:from|import) dagster\w*(?:\.\w+)*\._", re.MULTILINE)
    project = CONTRACTS.parent
    for packages, one in (
        (("datashop_assets", "resources", "infra"), "datashop_assets/orchestration/launching.py"),
        (("datashop_assets_tests",), "datashop_assets_tests/orchestration/dagster_internals.py"),
    ):
        places = [place for package in packages for place in (project / package).rglob("*.py")]
        assert [str(each.relative_to(project)) for each in places if private.search(each.read_text())] == [one]
        docstring = ast.get_docstring(ast.parse((project / one).read_text())) or ""
        assert "private" in docstring
        assert "replace" in docstring


def test_no_two_classes_have_one_name() -> None:
    """A name that means two things has to be looked up each time that it is read."""
    places = [
        place for package in ("datashop_assets", "resources") for place in (CONTRACTS.parent / package).rglob("*.py")
    ]
    names = Counter(name for place in places for name in re.findall(r"^class (\w+)", place.read_text(), re.MULTILINE))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_modules_that_are_started_by_their_files_names_are_there_and_are_named() -> None:
    page = (CONTRACTS.parent / "docs" / "architecture.md").read_text()
    programs = {SUPERVISOR, TRAINING_PROCESS, WEBSERVER}
    for program in programs:
        assert program.is_file()
        assert f"`{program.relative_to(PRODUCT)}`" in page
    texts = [place.read_text() for place in PRODUCT.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"with_name\(\"(\w+\.py)\"\)", text)}
    assert named == {program.name for program in programs}


def test_every_package_of_steps_is_kept_from_the_declarations_of_the_others() -> None:
    assert named("steps", "source_modules") == steps()
    assert named("steps", "forbidden_modules") == {f"{name}.steps" for name in steps()}
