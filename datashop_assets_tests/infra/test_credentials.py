"""Secrets of the environment stay there: a whole run leaves none of them in anything that it writes or says."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from datashop_assets_tests.small import small_pool, write_prompt

SECRETS = {
    "DATASHOP_ANNOTATOR_KEY": "zq7planted-annotator-key",
    "DAGSTER_POSTGRES_PASSWORD": "zq7planted-postgres-password",
    "HF_TOKEN": "zq7planted-hub-token",
    "AWS_SECRET_ACCESS_KEY": "zq7planted-bucket-secret",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON": '{"private_key": "zq7planted-private-key"}',
}


@pytest.mark.faults
def test_a_run_of_the_whole_graph_keeps_secrets(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    write_prompt(tmp_path / "prompts", "tides", small_pool(tmp_path / "pool", tmp_path / "cache"))
    places = {"DATASHOP_ROOT": "root", "DATASHOP_PROMPTS": "prompts", "DAGSTER_HOME": "home"}
    environment = {**os.environ, **SECRETS, **{name: str(tmp_path / folder) for name, folder in places.items()}}
    command = [Path(sys.executable).with_name("datashop"), "run", "tides"]
    said = subprocess.run(command, env=environment, capture_output=True, check=False, cwd=tmp_path)
    assert said.returncode == 0, said.stderr[-2000:]
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert metadata_entries(tmp_path / "home") > 50
    assert any(file.name == "card.html" for file in written)
    assert b"zq7planted" not in said.stdout + said.stderr
    assert [file for file in written if b"zq7planted" in file.read_bytes()] == []


def metadata_entries(home: Path) -> int:
    """Events that Dagster has stored: what is looked through is there to be looked through."""
    stores = list((home / "history" / "runs").glob("*.db"))
    counts = [sqlite3.connect(store).execute("select count(*) from event_logs").fetchone()[0] for store in stores]
    return sum(counts)
