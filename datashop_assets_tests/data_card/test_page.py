"""What is text stays text on every page; nothing on a page asks the network for anything."""

import re
from pathlib import Path

import orjson
import pytest
import yaml

from datashop_assets.data_card import page
from datashop_assets.data_card.build import sources_left_out
from datashop_assets.data_card.page import hub_head, size_category
from datashop_assets.data_card.results import DataCardConfig
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets_tests.data_card.cards import SCRIPT, browsable, card_run, prompt, run_of
from datashop_assets_tests.documents import making


@pytest.mark.parametrize(
    "text",
    [SCRIPT, "<b onclick=alert(1)>x</b>", "[x](javascript:alert(1))", "![x](http://somewhere/x.png)", "<http://a.b>"],
)
def test_markdown_of_a_description_cannot_bring_markup_or_links(text: str) -> None:
    html = page.markdown(f"| a |\n| --- |\n| {text} |\n\n{text}")
    assert not re.search(r"<script|<b |<a |src=\"http", html)


def test_pictures_inside_the_page_are_shown() -> None:
    assert '<img src="data:image/png;base64,AAAA"' in page.markdown("![](data:image/png;base64,AAAA)")


def test_the_browser_runs_one_script_whose_hash_its_policy_names(tmp_path: Path) -> None:
    html = page.browser({"prompt": prompt()}, browsable(card_run(tmp_path), 2).payload())
    assert SCRIPT not in html
    assert html.count("<script") == 2  # the data, and what reads them
    assert re.search(r"script-src &#39;sha256-[A-Za-z0-9+/=]{44}&#39;", html)
    assert not re.search(r"(?:src|href)=\"(?!card\.html)", html)


def test_every_setting_of_a_prompt_is_on_its_card() -> None:
    fields = {"name": "Tides", "rubric": "{example}", "annotator": {"scoring": "generate"}, "automatic": False}
    asked = parse_prompt(fields, "tides", "test")
    shown = asked.model_dump(mode="json", exclude={"automatic", "gates"})  # waivers stand beside what they waive
    assert DataCardConfig.of(asked).model_dump(mode="json") == shown


def test_figures_that_are_not_there_are_said_to_be_so() -> None:
    assert [page.number(value) for value in (None, 0.12345, 1234, "better")] == ["n/a", "0.123", "1,234", "better"]
    assert page.number(-0.3, 3, sign=True) == "-0.300"
    assert page.share(1, 0) == "n/a"
    assert [page.took(value) for value in (3.0, 240.0, 7200.0)] == ["3.0 s", "4.0 min", "2.0 h"]


def test_estimates_are_said_with_their_intervals() -> None:
    assert page.hours({"value": 2.0, "low": 1.0, "high": 3.0}) == "2.0 h (60.0 min to 3.0 h)"
    assert page.amount({"value": 1000.0, "low": 1000, "high": 1000}) == "1,000"
    assert page.amount({"value": 0.5, "low": None, "high": None}) == "0.5"
    assert page.hours(None) == "unknown"


def test_the_card_names_files_and_rows_that_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    making.write_lines(tmp_path / "files" / "a.jsonl", [b"{", *map(orjson.dumps, making.rows(0, 30))])
    (tmp_path / "files" / "b<i>.csv").touch()
    pool = making.make_pool(str(tmp_path / "files"), tmp_path)
    sample = making.make_sample(str(tmp_path / "files"), tmp_path, pool, 100)
    said = sources_left_out(run_of(tmp_path, pool, sample))
    card = {step: page.markdown(one["left out"]) for step, one in said.items()}
    assert card.keys() == {"pretraining_pool", "annotation_sample"}
    for html in card.values():
        assert "files passed over: 1 of another format (b&lt;i&gt;.csv)" in html
        assert "1 row rejected: broken json; write one JSON object a line, or a JSON array. For example a row 0" in html
    assert "documents drawn, not 100: of" in card["annotation_sample"]


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ({"fraction": 0.082}, "the 8.2% of documents that score highest"),
        ({"fraction": 0.1, "of": "tokens"}, "the 10% of tokens that score highest"),
        ({"tokens": 50_000_000_000}, "the highest scores that fit into 50,000,000,000 tokens"),
        ({"threshold": 0.5}, "every score from 0.5 upward"),
        ({"precision": 0.9, "labels": 300}, "a precision of at least 0.9 (delta 0.05, up to 300 labels, anytime)"),
        ({"recall": 0.9, "labels": 900}, "a recall of at least 0.9 (delta 0.05, up to 900 labels)"),
    ],
)
def test_a_keep_rule_is_said_in_words(keep: dict[str, float | str], said: str) -> None:
    assert said in page.rule(prompt(keep=keep)["keep"])


def test_measured_paces_and_times_have_their_units() -> None:
    assert page.pace(28_713.4, "tokens_per_second") == "28,713 tokens/s"
    assert page.pace(111.3, "seconds_asking") == "asking 1.9 min"
    assert page.pace(0.41, "mfu") == "mfu 0.410"
    assert page.interval({"value": 0.9, "low": 0.8, "high": 0.95}) == "0.900 (0.800 to 0.950)"
    assert page.moment("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04 UTC"


def test_the_head_for_a_hub_is_yaml_whatever_the_name() -> None:
    kept = {"metrics": {"kept_documents": 960, "kept_bytes": 1_331_086}, "content_digest": "0" * 32}
    text = hub_head({"prompt": prompt(name='a: "b" # c'), "stages": {"filtered_pool": kept}})
    fields = yaml.safe_load(text.strip("-"))
    assert fields["pretty_name"] == 'a: "b" # c'
    assert fields["size_categories"] == ["n<1K"]
    assert [size_category(n) for n in (1_000, 99_999, 10**11)] == ["1K<n<10K", "10K<n<100K", "10B<n<100B"]
