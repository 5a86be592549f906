"""What is published works without the repository: the wheel, in an environment of its own, runs the demo."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from datashop_assets.storage.root import project

PROJECT = tomllib.loads((project() / "pyproject.toml").read_text())["project"]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(2400)]


def done(*command: str | Path, place: Path) -> str:
    """What a command says that somebody runs in `place`, who has set no variable of ours and has no data folder yet."""
    ours = re.compile("DATASHOP_|DAGSTER_|PYTHONPATH|VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not ours.match(name)}
    environment |= {"NO_COLOR": "1", "XDG_DATA_HOME": str(place / "share")}
    found = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"{command}\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}"
    return found.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment `own`, into which the built wheel was installed."""
    place = tmp_path_factory.mktemp("elsewhere")
    done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place), place=project())
    done(sys.executable, "-m", "venv", str(place / "own"), place=place)
    [wheel] = place.glob("*.whl")
    done(place / "own/bin/python", "-m", "pip", "install", "--quiet", str(wheel), place=place)
    return place


def test_the_version_is_that_of_pyproject(place: Path) -> None:
    assert done(place / "own/bin/datashop", "--version", place=place).split()[-1] == PROJECT["version"]


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_every_extra_resolves(extra: str, tmp_path: Path) -> None:
    command = [".tools/uv/bin/uv", "pip", "compile", "--quiet", "--extra", extra, "pyproject.toml"]
    done(*command, "--output-file", str(tmp_path / "resolved.txt"), place=project())
    resolved = (tmp_path / "resolved.txt").read_text()
    for wanted in PROJECT["optional-dependencies"][extra]:
        assert f"\n{re.split(r'[^a-z0-9-]', wanted)[0]}==" in resolved


def test_the_demo_runs(place: Path) -> None:
    datashop = place / "own/bin/datashop"
    done(datashop, "data", place=place)
    done(datashop, "new-prompt", "mathematics", "--example", "mathematics", place=place)
    done(datashop, "doctor", place=place)
    done(datashop, "run", "mathematics", place=place)
    stages = json.loads(done(datashop, "status", "--json", place=place))["prompts"]["mathematics"]
    assert {stage["state"] for stage in stages.values()} == {"current"}
    assert Path(stages["data_card"]["metrics"]["path"]).is_relative_to(place)
    assert stages["evaluation"]["metrics"]["verdict"]
