"""The harness reads exported models; tasks of our own making, in its local format."""

import json
from pathlib import Path

import pytest

from datashop_assets.evaluation.harness import scores
from datashop_assets.storage.root import project
from datashop_assets_tests.small_lm import TokenizedPool, train_control

PEERS = project() / ".venv-peers/bin/python"
TASK = """
task: next_words
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: label
doc_to_choice: "{{{{choices}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""


@pytest.mark.peers
def test_the_harness_scores_an_exported_model(
    tokenized: TokenizedPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model has read words and never this punctuation, so that it finds words likelier."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # all that is needed is here
    rows = [{"question": "the keeper of the", "choices": [" light", "]]}}"], "label": 0}] * 6
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "next_words.yaml").write_text(TASK.format(data=data))
    control = train_control(tmp_path, tokenized, seeds=1)
    folder = control.files("seed-0/")["seed-0/config.json"].parent
    found = scores(folder, ["next_words"], python=PEERS, include=tmp_path)
    assert found["next_words"]["acc,none"] == 1.0


def test_a_name_that_is_no_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are no names of tasks"):
        scores(tmp_path, ["arc_easy,--limit 3"], python=PEERS)
