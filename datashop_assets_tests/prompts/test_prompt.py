"""Prompt files: what passes, and what a bad one is told."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.prompts.parsing import PromptError, in_utf8
from datashop_assets.prompts.prompt import Prompt, load_prompt, parse_prompt
from datashop_assets.prompts.settings import GATE_NAMES
from datashop_assets.prompts.store import PromptStore
from datashop_assets.prompts.template import fill
from datashop_assets.storage.root import Root

GOOD = """\
name: Tides
rubric: "Score {example} from 0 to 5."
annotator:
  likelihood:
    question: "Document: {example} What subject?"
    answer_begins: This document is about
    targets: [physics]
"""


def _with(line: str, instead_of: str = "") -> str:
    return GOOD.replace(instead_of, line) if instead_of else GOOD + line


RUBRIC = 'rubric: "Score {example} from 0 to 5."'

# name of the file, its content, and what the error must name: field, value or place, fix
BAD = [
    ("tides.yaml", _with('rubric: "Score it."', RUBRIC), ["rubric", "0 times", "exactly once"]),
    ("tides.yaml", _with('rubric: "{example} {example}"', RUBRIC), ["rubric", "2 times", "exactly once"]),
    ("tides.yaml", _with("", RUBRIC), ["rubric", "is missing", "add it"]),
    ("tides.yaml", _with("rubric: 5", RUBRIC), ["rubric", "5", "valid string"]),
    ("tides.yaml", _with("rubric: [a, b]", RUBRIC), ["rubric", "valid string"]),
    ("Tides.yaml", GOOD, ["slug", "'Tides'", "a-z"]),
    ("big tides.yaml", GOOD, ["slug", "'big tides'", "choose"]),
    ("a...b.yaml", GOOD, ["slug", "'a...b'"]),
    ("-tides.yaml", GOOD, ["slug", "'-tides'"]),
    ("a,b.yaml", GOOD, ["slug", "'a,b'"]),
    ("t" * 64 + ".yaml", GOOD, ["slug", "63"]),
    ("tides.yaml", _with("slug: tides\n"), ["slug", "the file's name is the slug", "remove"]),
    ("tides.yaml", _with("anotator: {}\n"), ["anotator", "did you mean 'annotator'"]),
    ("tides.yaml", _with("encoder: {epoch: 3}\n"), ["encoder.epoch", "did you mean 'epochs'"]),
    ("tides.yaml", _with("zzz: 1\n"), ["zzz", "unknown field", "use slug, name"]),
    ("tides.yaml", _with("keep: {fraction: 0}\n"), ["keep.fraction", "0", "greater than 0"]),
    ("tides.yaml", _with("keep: {fraction: 1.2}\n"), ["keep.fraction", "1.2", "less than 1"]),
    ("tides.yaml", _with("keep: {fraction: .nan}\n"), ["keep"]),
    ("tides.yaml", _with("keep: {fraction: 0.1, threshold: 0.5}\n"), ["keep", "exactly one"]),
    ("tides.yaml", _with("keep: {}\n"), ["keep", "exactly one of fraction, tokens, threshold, precision"]),
    ("tides.yaml", _with("keep: {fraction: 0.1, of: words}\n"), ["keep.of", "words", "'documents' or 'tokens'"]),
    ("tides.yaml", _with("processor: {type: stars}\n"), ["processor.type", "stars", "finalscore0-5"]),
    ("tides.yaml", _with("processor: {type: ../evil:X}\n"), ["processor.type", "../evil:X"]),
    ("tides.yaml", _with("gates: {waive: {covrage: x}}\n"), ["gates.waive", "'covrage' is no gate", *GATE_NAMES]),
    ("tides.yaml", _with("gates: {waive: {coverage: }}\n"), ["gates.waive", "without a reason", "coverage: "]),
    ("tides.yaml", _with("gates: {waive: {coverage: ' '}}\n"), ["gates.waive", "without a reason"]),
    ("tides.yaml", _with("gates: {waive: [coverage]}\n"), ["gates.waive", '{coverage: "the reason"}']),
    ("tides.yaml", _with("training: {seeds: 0}\n"), ["training.seeds", "0", "greater than or equal to 1"]),
    ("tides.yaml", _with('training: {steps: "300"}\n'), ["training.steps", "'300'", "valid integer"]),
    ("tides.yaml", _with("automatic: maybe\n"), ["automatic", "maybe", "valid boolean"]),
    ("tides.yaml", _with("encoder: {min_subword: 5, max_subword: 3}\n"), ["encoder", "min_subword exceeds", "swap"]),
    ("tides.yaml", _with("    targets: [astrology]", "    targets: [physics]"), ["astrology", "not among the options"]),
    ("tides.yaml", _with("    targets: []", "    targets: [physics]"), ["targets", "at least 1"]),
    (
        "tides.yaml",
        _with("    documents: 9\n").replace("  likelihood", "  documents: 5000\n  likelihood"),
        ["documents"],
    ),
    ("tides.yaml", _with("evaluation: {gold: [Biology]}\n"), ["['Biology'] labels no", "Biology and health sciences"]),
    (
        "tides.yaml",
        _with("pretraining_pool: my/*.jsonl\nevaluation: {gold: [Mathematics]}\n"),
        ["my/*.jsonl", "has no gold labels", "evaluation.targets"],
    ),
    (
        "tides.yaml",
        _with("pretraining_pool: {uri: a.jsonl, on_unreadable: no}\n"),
        ["on_unreadable", "'stop' or 'skip'"],
    ),
    (
        "tides.yaml",
        _with("  gates: {waive: {coverage: few}}\n"),
        ["annotator.gates.waive", "'waive' is a field of gates"],
    ),
    ("tides.yaml", GOOD.replace("annotator:", "annotator_settings:"), ["annotator_settings", "did you mean"]),
    ("tides.yaml", GOOD.split("annotator:", maxsplit=1)[0], ["annotator.likelihood is missing", "question"]),
    ("tides.yaml", _with("name: Tides again\n"), ["line 8", "'name' appears twice"]),
    ("tides.yaml", _with("a: &x 1\nb: *x\n"), ["line 9", "aliases"]),
    ("tides.yaml", _with("heldout_fraction: 010\n"), ["line 8", "'010' is not a number to base 10", "leading zeros"]),
    ("tides.yaml", _with("heldout_fraction: 1:30\n"), ["line 8", "'1:30' is not a number to base 10", "colons"]),
    ("tides.yaml", _with("1: one\n"), ["line 8", "is not text", "quote it"]),
    ("tides.yaml", "name: [Tides\n", ["is not YAML", "line 2"]),
    ("tides.yaml", "- a list\n", ["a list", "mapping"]),
    ("tides.yaml", "", ["is empty"]),
    ("tides.yaml", "# only a comment\n", ["is empty"]),
    ("tides.yaml", "!!python/object/apply:os.system ['true']", ["is not YAML"]),
    ("tides.yaml", b"name: Gez\xe9iten\n", ["byte 9", "not UTF-8"]),
    ("tides.yaml", b"a" * 5_000_000, ["more than 1,000,000 bytes", "at most"]),
    ("tides.yaml", "[" * 5000, ["is not YAML"]),
    ("tides.yaml", _with("training: {learning_rate: 1e-4}\n"), ["training.learning_rate", "'1e-4'", "write 1.0e-4"]),
    ("tides.yaml", _with("training: {learning_rate: 5e3}\n"), ["training.learning_rate", "'5e3'", "write 5.0e+3"]),
    ("tides.yaml", _with("training: {learning_rate: 1.5e-3}\nzzz: 1\n"), ["zzz"]),
    ("tides.yaml", _with("training: {learning_rate: 1.5e3}\n"), ["training.learning_rate", "write 1.5e+3"]),
    ("tides.yaml", _with("training: {steps: 1e3}\n"), ["training.steps", "'1e3'", "write out all digits"]),
    ("tides.yaml", _with('training: {steps: "300"}\n'), ["training.steps", "'300'", "without quotes"]),
    ("tides.yaml", _with("answer_begins: '{example} is'", "answer_begins: This document is about"), ["remove it here"]),
    ("tides.yaml", _with("    options: ['', physics]\n"), ["annotator.likelihood", "an option is empty"]),
    # what YAML can say and JSON cannot
    ("tides.yaml", _with('about: "\\ud800"\n'), ["about", "'\\ud800'", "half a character"]),
    ("tides.yaml", _with('"\\ud800": 1\n'), ["\\ud800", "half a character"]),
    ("tides.yaml", _with(f"training: {{seeds: {10**20}}}\n"), ["training.seeds", str(10**20), "too large"]),
    ("tides.yaml", _with("processor: {options: {deep: [1, .inf]}}\n"), ["processor.options.deep.1", "inf", "finite"]),
    ("tides.yaml", _with("encoder: {transformer: {epochs: .nan}}\n"), ["encoder.transformer.epochs", "nan", "finite"]),
    ("tides.yaml", _with("about: !!binary aGVsbG8=\n"), ["about", "b'hello'", "is a bytes"]),
    ("tides.yaml", _with("about: !!set {a, b}\n"), ["about", "is a set"]),
    ("tides.yaml", _with("about: !!bool maybe\n"), ["line 8", "'maybe' is not a valid bool"]),
    ("tides.yaml", _with('about: !!int ""\n'), ["line 8", "'' is not a valid int"]),
    ("tides.yaml", _with("about: !!timestamp soon\n"), ["line 8", "'soon' is not a valid timestamp"]),
    ("tides.yaml", _with("about: 2026-99-99\n"), ["line 8", "'2026-99-99' is not a valid timestamp", "quote it"]),
    ("tides.yaml", _with(f"about: {'[' * 300}{']' * 300}\n"), ["about.0", "levels deep"]),
    ("t\udcffdes.yaml", GOOD, ["slug", "t\\udcffdes", "a-z"]),
]


@pytest.mark.parametrize(("name", "content", "told"), BAD, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(BAD)])
def test_a_bad_file_is_told_file_field_value_and_fix(
    tmp_path: Path, name: str, content: str | bytes, told: list[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PromptError) as caught:
        load_prompt(file)
    message = str(caught.value)
    assert in_utf8(str(file)) in message
    for word in told:
        assert word in message
    assert len(message) < 5000


@pytest.mark.parametrize(
    ("value", "told"),
    [(10**20, "too large"), (float("nan"), "finite"), (np.float64(0.1), "is a float64"), ({"a"}, "is a set")],
)
def test_a_value_of_python_that_json_cannot_hold_is_told_too(value: object, told: str) -> None:
    fields = {**yaml.safe_load(GOOD), "keep": {"fraction": value}}
    with pytest.raises(PromptError, match=rf"keep\.fraction = .*{told}"):
        parse_prompt(fields, "tides", "experiment 'tides'")


@pytest.mark.parametrize(
    "address",
    [
        "https://me:planted@host/pool.jsonl",
        "https://planted@host/pool.jsonl",
        "s3://AKIA:planted@bucket/pool/*.parquet",
        "filecache::sftp://me:planted@host/pool.jsonl.gz",
        "https://host/pool.jsonl?x=1&X-Amz-Signature=planted",
        "https://host/file.jsonl?access_token=planted&part=pool.jsonl",
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        "pretraining_pool: {}",
        "annotation_sample: {{uri: {}}}",
        "evaluation: {{benchmarks: [{{uri: {}}}]}}",
        "training: {{anneal_from: {}}}",
        "encoder: {{kind: transformer, transformer: {{model: {}}}}}",
    ],
)
def test_an_address_that_holds_a_secret_is_refused_and_the_secret_not_told(
    tmp_path: Path, address: str, line: str
) -> None:
    """Addresses stand in every manifest, and what is wrong with a file in logs and in the UI."""
    file = tmp_path / "tides.yaml"
    file.write_text(_with(line.format(f'"{address}"') + "\n"))
    with pytest.raises(PromptError, match="holds a user, password or key, and addresses are stored") as caught:
        load_prompt(file)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "hf://datasets/some/set@a3b142c/*.parquet",
        "github://org:repo@main/pool.jsonl",
        "gs://bucket/token=1/part-?.jsonl",
        "sftp://me@host/pool.jsonl",
        "https://host/get?file=pool.jsonl",
        "/data/me@work:today/pool.jsonl",
    ],
)
def test_an_address_without_a_secret_is_no_problem(tmp_path: Path, address: str) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(_with(f'pretraining_pool: "{address}"\n'))
    assert load_prompt(file).pretraining_pool.uri == address


@pytest.mark.parametrize("line", ["api_key: planted", "endpoint: {url: 'http://x', key: planted}", "hf_token: planted"])
def test_a_secret_in_an_unknown_field_is_not_told(tmp_path: Path, line: str) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(_with(line + "\n"))
    with pytest.raises(PromptError, match="unknown field") as caught:
        load_prompt(file)
    assert "planted" not in str(caught.value)
    assert "[hidden]" in str(caught.value)


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(GOOD + "zzz: 1\nkeep: {fraction: 2}\ntraining: {seeds: 0}\n")
    with pytest.raises(PromptError) as caught:
        load_prompt(file)
    assert [problem.field for problem in caught.value.problems] == ["keep.fraction", "training.seeds", "zzz"]


@pytest.mark.parametrize(
    "rubric",
    [
        "{} {example}",
        "{{example}} {0} {name!r}",
        r"$\frac{a}{b}$ {example} $\sum_{k=1}^{n}$",
        '{"a": {"b": 1}} {example}',
    ],
)
def test_braces_and_latex_around_the_example_are_just_text(tmp_path: Path, rubric: str) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(GOOD.replace(RUBRIC, f"rubric: |\n  {rubric}"))
    document = r"{example} {0} \x{y}"
    before, after = rubric.split("{example}")
    assert fill(load_prompt(file).rubric, document) == before + document + after + "\n"


@given(st.text(), st.text().filter(lambda text: "{example}" not in text), st.text())
def test_any_document_fills_any_template_literally(before: str, after: str, document: str) -> None:
    template = before.replace("{example}", "") + "{example}" + after
    if template.count("{example}") == 1:
        left, right = template.split("{example}")
        assert fill(template, document) == left + document + right


def test_the_shipped_examples_are_good_and_wait_for_a_person() -> None:
    store = PromptStore(Path("prompts"), Root("memory://nothing"))
    assert {"mathematics", "history", "computing"} <= set(store.slugs())
    assert store.problems() == {}
    assert not any(store.load(slug).automatic for slug in ("mathematics", "history", "computing"))


def test_a_slug_given_by_two_files_is_a_problem_of_that_slug_alone(tmp_path: Path) -> None:
    for name in ("tides.yaml", "tides.yml", "waves.yaml"):
        (tmp_path / name).write_text(GOOD)
    store = PromptStore(tmp_path, Root(str(tmp_path / "root")))
    assert store.slugs() == ["waves"]
    told = str(store.problems()["tides"])
    assert "tides.yaml" in told
    assert "tides.yml" in told
    assert "rename or remove one" in told


@pytest.mark.parametrize("bad", ["name: [", 'name: "\\ud800"', f"name: {10**30}", "name: !!bool maybe"])
def test_a_bad_file_does_not_stop_the_others(tmp_path: Path, bad: str) -> None:
    (tmp_path / "tides.yaml").write_text(bad)
    (tmp_path / "waves.yaml").write_text(GOOD)
    (tmp_path / "t\udcffdes.yaml").write_text(GOOD)
    store = PromptStore(tmp_path, Root(str(tmp_path / "root")))
    assert store.load("waves").name == "Tides"
    assert list(store.problems()) == ["t\\udcffdes", "tides"]


def test_a_kept_experiment_is_a_prompt_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "waves.yaml").write_text(GOOD)
    store = PromptStore(tmp_path, Root(str(tmp_path / "root")))
    prompt = Prompt.model_validate({**store.load("waves").model_dump(), "slug": "tides"})
    store.keep(prompt)
    assert store.slugs() == ["tides", "waves"]
    assert store.load("tides") == prompt


def test_an_experiment_cannot_take_the_name_of_another_prompt_file(tmp_path: Path) -> None:
    (tmp_path / "waves.yaml").write_text(GOOD)
    store = PromptStore(tmp_path, Root(str(tmp_path / "root")))
    store.keep(store.load("waves"))  # the same settings are the same prompt
    other = store.load("waves").model_copy(update={"name": "Other"})
    with pytest.raises(PromptError, match="which differ; rename or remove one"):
        store.keep(other)
