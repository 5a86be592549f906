"""Images: linted, without root or secrets, and built from commands that work where they can be run here."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from datashop_assets_tests.infra.dockerfiles import read, run_commands
from infra.clusters.cluster import PROJECT
from infra.images.build import IMAGES, chosen, commands
from infra.settings import settings

IMAGES_FOLDER = PROJECT / "infra" / "images"
DOCKERFILES = sorted(IMAGES_FOLDER.glob("*.Dockerfile"))
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_a_real_linter_finds_nothing(file: Path) -> None:
    found = subprocess.run([BIN / "hadolint", file], capture_output=True, text=True, check=False)
    assert found.stdout == ""


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_an_image_that_is_run_has_a_user_a_healthcheck_and_labels(file: Path) -> None:
    instructions = read(file)
    for stage in {"datashop": ["dagster", "cluster"], "vllm": ["final"]}[file.stem]:
        kinds = {each.name: each.arguments for each in instructions if each.stage == stage}
        assert kinds["USER"] == "1000"
        assert "CMD" in kinds["HEALTHCHECK"]
        assert "image.revision" in kinds["LABEL"]
        assert "ADD" not in kinds


def test_the_webserver_that_the_chart_starts_is_ours() -> None:
    made = run_commands(IMAGES_FOLDER / "datashop.Dockerfile", "dagster")
    assert "ln -sf datashop-webserver /opt/datashop/bin/dagster-webserver" in made
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["datashop-webserver"] == "datashop_assets.orchestration.webserver:main"


def test_annotator_and_trainer_never_share_a_libtpu() -> None:
    def pinned(lock: str) -> str:
        found = re.search(r"^libtpu==(\S+)", (PROJECT / "locks" / lock).read_text(), re.MULTILINE)
        assert found is not None
        return found.group(1)

    assert "image-vllm" not in (IMAGES_FOLDER / "datashop.Dockerfile").read_text()
    assert "image-tpu" not in (IMAGES_FOLDER / "vllm.Dockerfile").read_text()
    assert pinned("image-tpu.txt") != pinned("image-vllm-tpu.txt")


def test_every_node_of_a_cluster_has_the_same_ray() -> None:
    from infra.clusters.cluster import ray_version

    for lock in ("image-datashop.txt", "image-vllm-tpu.txt", "image-vllm-gpu.txt"):
        assert f"\nray=={ray_version()} " in (PROJECT / "locks" / lock).read_text()


@pytest.mark.parametrize(
    ("asked", "image"),
    [
        ({}, "cluster"),
        ({"GPU": "1"}, "cluster-gpu"),
        ({"VLLM": "1"}, "vllm-tpu"),
        ({"VLLM": "gpu"}, "vllm-gpu"),
        ({"DAGSTER": "1"}, "dagster"),
    ],
)
def test_each_variable_chooses_an_image_that_a_file_can_make(asked: dict[str, str], image: str) -> None:
    assert chosen(asked).name == image
    dockerfile = IMAGES_FOLDER / chosen(asked).dockerfile
    stages = {each.stage for each in read(dockerfile)}
    assert not chosen(asked).target or chosen(asked).target in stages


@pytest.mark.parametrize("asked", [{"VLLM": "yes"}, {"VLLM": "1", "GPU": "1"}, {"GPU": "2"}])
def test_a_wrong_variable_is_told_what_there_is(asked: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="set one of VLLM=1, VLLM=gpu, GPU=1, DAGSTER=1"):
        chosen(asked)


def test_every_region_gets_the_commit_the_day_and_latest() -> None:
    lines = commands(IMAGES["vllm-tpu"], "0123456789ab", "20260101", settings())
    pushed = [line.removeprefix("docker push ") for line in lines if line.startswith("docker push")]
    assert len(pushed) == len(set(pushed)) == 3 * len(settings().regions)
    for region in settings().regions:
        name = f"{region}-docker.pkg.dev/{settings().project}/{settings().repository}/vllm-tpu"
        assert {f"{name}:0123456789ab", f"{name}:20260101", f"{name}:latest"} <= set(pushed)


@pytest.mark.parametrize(
    ("asked", "image"), [({}, "cluster"), ({"VLLM": "1"}, "vllm-tpu"), ({"VLLM": "gpu"}, "vllm-gpu")]
)
def test_what_a_dry_run_prints_is_shell_that_a_linter_takes(asked: dict[str, str], image: str, tmp_path: Path) -> None:
    dry = {"DRY_RUN": "1", "PATH": os.environ["PATH"], **asked}
    made = ["make", "--assume-old=env", "cluster_docker"]  # what the environment asks for, make must not answer itself
    printed = subprocess.run(made, cwd=PROJECT, env=dry, capture_output=True, text=True, check=True).stdout
    lines = [line.removeprefix("+ ") for line in printed.splitlines() if line.startswith("+ ")]
    assert lines[0].startswith("git archive --format=tar")
    assert f" --tag={image}:{printed.splitlines()[-1]} " in lines[0]
    assert_shell(lines, tmp_path)


def test_the_commands_of_cluster_files_are_shell_that_a_linter_takes(tmp_path: Path) -> None:
    lines = set()
    for file in (PROJECT / "infra").glob("datashop-*.yaml"):
        config = yaml.safe_load(file.read_text())
        lines |= {line for name, value in config.items() if name.endswith("_commands") for line in value}
    assert_shell(sorted(lines), tmp_path)


def assert_shell(lines: list[str], folder: Path) -> None:
    script = folder / "lines.sh"
    script.write_text("#!/bin/bash\n" + "\n".join(lines) + "\n")
    # SC2088: the tilde in Ray's own option is expanded by Ray. SC2012: `ls` says what is missing.
    found = subprocess.run(
        [BIN / "shellcheck", "--exclude=SC2088,SC2012", script], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""


@pytest.mark.deploy
def test_the_packages_of_the_images_install_and_start(tmp_path: Path) -> None:
    """Runs what the Dockerfile runs, in a folder in place of the root: all but what needs root or a base image."""
    file, build = IMAGES_FOLDER / "datashop.Dockerfile", tmp_path / "build"
    build.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=PROJECT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", build], input=archive, check=True)
    for stage in ("packages", "accelerated", "wheel", "cluster"):
        for command in run_commands(file, stage):
            here = command.replace("/opt/", f"{tmp_path}/opt/").replace("/wheels", f"{tmp_path}/wheels")
            subprocess.run(["bash", "-ec", here], cwd=build, env={**os.environ, "ACCELERATOR": "tpu"}, check=True)
    python = tmp_path / "opt" / "datashop" / "bin" / "python"
    asked = "import datashop_assets.definitions, dagster_postgres, ray, libtpu; print(datashop_assets.__file__)"
    isolated = [python, "-I", "-c", asked]  # nothing of this checkout is found by the environment's paths
    printed = subprocess.run(isolated, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.startswith(str(tmp_path))
    webserver = [python.with_name("datashop-webserver"), "--version"]
    assert "version" in subprocess.run(webserver, cwd=tmp_path, capture_output=True, text=True, check=True).stdout


@pytest.mark.deploy
@pytest.mark.parametrize("accelerator", ["tpu", "gpu"])
def test_the_packages_of_the_annotators_images_are_to_be_had(accelerator: str, tmp_path: Path) -> None:
    """As its Dockerfile installs them, up to the download of some GB: every version and hash of the lock is found."""
    lock = PROJECT / "locks" / f"image-vllm-{accelerator}.txt"
    there = ["--target", tmp_path, "--python-platform=x86_64-manylinux_2_34", "--python-version=3.12"]
    install = [PROJECT / ".tools/uv/bin/uv", "pip", "install", "--dry-run", *there, "--require-hashes", "-r", lock]
    said = subprocess.run(install, capture_output=True, text=True, check=True).stderr
    assert re.search(r"^ \+ vllm.*==", said, re.MULTILINE)
    assert re.search(r"^ \+ ray==", said, re.MULTILINE)
