"""Which prompts there are, from files and from stored experiments, and what is said of those that cannot be used."""

from pathlib import Path

import pytest

from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.root import Root

FIELDS = {
    "name": "Numbers",
    "rubric": "Score {example}",
    "annotator": {"likelihood": {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}},
}
GOOD = """
name: Numbers
rubric: "Score {example}"
annotator: {likelihood: {question: "{example}?", answer_begins: It is, targets: [mathematics]}}
"""


@pytest.fixture
def store(tmp_path: Path) -> PromptStore:
    (tmp_path / "prompts").mkdir()
    return PromptStore(tmp_path / "prompts", Root(str(tmp_path / "root")))


def write(store: PromptStore, name: str, text: str = GOOD) -> None:
    (store.folder / name).write_text(text, encoding="utf-8")


def test_files_are_prompts_and_anything_else_is_not(store: PromptStore) -> None:
    for name in ("numbers.yaml", "letters.yml", "capitals.YAML", ".hidden.yaml", "notes.txt", "numbers.yaml~"):
        write(store, name)
    assert store.slugs() == ["capitals", "letters", "numbers"]
    assert store.problems() == {}


def test_a_bad_file_hides_no_other(store: PromptStore) -> None:
    write(store, "numbers.yaml")
    write(store, "broken.yaml", "name: [")
    write(store, "Not A Slug.yaml")
    assert store.slugs() == ["numbers"]
    assert sorted(store.problems()) == ["Not A Slug", "broken"]
    with pytest.raises(PromptError, match=r"broken\.yaml: is not YAML"):
        store.load("broken")


def test_one_slug_in_two_files_is_an_error_for_it_alone(store: PromptStore) -> None:
    for name in ("numbers.yaml", "numbers.yml", "letters.yaml"):
        write(store, name)
    assert store.slugs() == ["letters"]
    assert "numbers.yaml and in" in str(store.problems()["numbers"])


def test_an_unknown_prompt_names_the_known_ones(store: PromptStore) -> None:
    write(store, "numbers.yaml")
    with pytest.raises(PromptError, match=r"no such prompt; there are numbers; add nowhere\.yaml"):
        store.load("nowhere")


def test_a_missing_folder_names_the_fix(tmp_path: Path) -> None:
    store = PromptStore(tmp_path / "nowhere", Root(str(tmp_path / "root")))
    with pytest.raises(PromptError, match="create it, or name another in DATASHOP_PROMPTS"):
        store.slugs()


def test_a_kept_experiment_comes_back_equal(store: PromptStore) -> None:
    prompt = parse_prompt(FIELDS, "numbers", "experiment")
    store.keep(prompt)
    assert store.slugs() == ["numbers"]
    assert store.load("numbers") == prompt
    changed = parse_prompt({**FIELDS, "about": "later"}, "numbers", "experiment")
    store.keep(changed)
    assert store.load("numbers") == changed


def test_a_file_and_an_experiment_of_one_name_must_say_the_same(store: PromptStore) -> None:
    store.keep(parse_prompt(FIELDS, "numbers", "experiment"))
    write(store, "numbers.yaml")
    assert store.slugs() == ["numbers"]
    write(store, "numbers.yaml", GOOD + "about: Other\n")
    assert store.slugs() == []
    with pytest.raises(PromptError, match="which differ; rename or remove one"):
        store.load("numbers")
    with pytest.raises(PromptError, match="this experiment"):
        store.keep(parse_prompt(FIELDS, "numbers", "experiment"))
