"""One of the words Great, Good, Okay, Poor and Useless: where one is a label, and the processor that reads it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from datashop_assets.asking.clauses import other_labels
from datashop_assets.asking.final_scores import IS, RATINGS, SCALE_BEFORE, SCORE, score_of_json
from datashop_assets.asking.forms import Form, any_of
from datashop_assets.asking.number_forms import HIGHEST_SCORE, OPENING
from datashop_assets.asking.verdicts import Grammar, Place, WrittenVerdict
from datashop_assets.asking.written_numbers import number_at
from datashop_assets.protocols.processor import Parsed

MEDU_SCORES = {"great": 5, "good": 4, "okay": 3, "poor": 2, "useless": 1}

_WORDS = "great|good|okay|ok|poor|useless"
_WORD = rf"(?P<word>{_WORDS})(?![a-z])"
LABEL = (
    Form(
        "Label: **Good",
        rf"(?<![a-z])(?:label|score|rating|answer|judge?ment|verdict|grade)(?:>|{IS}){_WORD}",
    ),
    Form(
        "rate it as good",
        r"(?<![a-z])(?:rate|choose|label|judge|grade|pick|select|assign|call)\s"
        r"(?:(?:it|this|the|that|text|document|passage|article|page|extract|excerpt|as|an?|to\s+be|label|with|of|rating|"
        r"overall)\s){0,8}?"
        rf"{OPENING}{_WORD.replace('word', 'chosen')}(?=[\s*_`\"'\u201d)]{{0,8}}(?:[.\n]|$))",
    ),
    Form(
        "**Good",
        rf"^[\s*_#`\"'\u201c(\[>-]{{0,16}}{_WORD.replace('word', 'alone')}"
        r"(?=[ \t*_`\"'\u201d)\].]{0,16}$|\s?[:\u2013\u2014])",
        "**",
    ),
)
# A word that is alone on its line and no label: said to the one who asks, or a heading.
# Text of the same turn follows.
_MORE = r"(?=\s*\n\s*(?!(?:#{1,6}\s*|\*\*)?(?:user|human|instruction|prompt)\b)\S)"
ACKNOWLEDGED = (
    Form("Okay.", rf"\A\s{{0,8}}(?:{_WORDS})\b[.!:,]?{_MORE}", "\nThe text is short."),
    Form("Okay: the", rf"^[^\w\n]{{0,16}}(?:{_WORDS})[*_ \t]{{0,4}}[:\u2013\u2014][*_ \t]{{0,4}}\w+"),
    Form("Good:", rf"^[^\w\n]{{0,16}}(?:{_WORDS})[*_ \t]{{0,4}}:?[*_ \t]{{0,4}}{_MORE}", "\n- It explains."),
)
_ALL_LABELS = re.compile(rf"(?:{_WORDS})(?:\s?[/|,]\s?(?:or\s+)?(?:{_WORDS})){{4}}(?!\w)", re.IGNORECASE)
_ACKNOWLEDGED, _LABELLED = any_of(*ACKNOWLEDGED), any_of(*LABEL)
_SCORE_BESIDE = re.compile(
    r"(?:^|[.;,|]\s)[^\w\n]{0,8}(?:(?:final|overall|total|numeric(?:al)?)[\s_-])?(?:score|rating|grade|overall|stars|total)(?![a-z])",
    re.IGNORECASE | re.MULTILINE,
)


def _labels(text: str) -> Iterator[Place]:
    for found in _LABELLED.finditer(text):
        group = next(name for name in ("word", "chosen", "alone") if found[name])
        acknowledged = _ACKNOWLEDGED.match(text, found.start()) if group == "alone" else None
        if acknowledged and acknowledged[0].rstrip()[-1:] in tuple(".!,"):
            continue
        if not _ALL_LABELS.match(text, found.start(group)):  # the labels to choose from
            verdict = replace(_label(found[group], " ".join(found[0].split())), beside=acknowledged is not None)
            yield Place(verdict, found.start(), found.start(group), found.end(), weak=group == "alone")


def _scores_beside(text: str) -> Iterator[Place]:
    """Numbers under a key of their own, which may say something else than the label."""
    for leads in _SCORE_BESIDE.finditer(text):
        scale = SCALE_BEFORE.match(text, leads.end())
        separator = SCORE.match(text, scale.end() if scale else leads.end())
        begins = separator.end() if separator else leads.end()
        if number := number_at(text, begins, int(scale["of"]) if scale else HIGHEST_SCORE):
            words = " ".join(text[leads.start() : number.ends].split()).lstrip(".;,| ")
            verdict = WrittenVerdict(words, number.value, number.reason and f"the score {number.reason}", beside=True)
            yield Place(verdict, leads.start(), begins, number.ends)


def _labels_and_scores(text: str) -> Sequence[Place]:
    return sorted((*_labels(text), *_scores_beside(text)), key=lambda place: place.begins)


def _label(word: str, words: str) -> WrittenVerdict:
    name = word.lower()
    return WrittenVerdict(words, MEDU_SCORES["okay" if name == "ok" else name])


def _label_of_json(text: str) -> Place | None:
    if found := re.fullmatch(rf"\W*{_WORD}\W*", text, re.IGNORECASE):
        return Place(_label(found["word"], text), 0, found.start("word"), len(text))
    number = score_of_json(text)
    return number and replace(number, verdict=replace(number.verdict, beside=True))


class Medu:
    """A word as the MEDU prompt asks for it: after `Label:` or the like; where none is, alone on a line."""

    answers: Sequence[str] = tuple(word.capitalize() for word in MEDU_SCORES)
    version = "5"
    grammar = Grammar(
        _labels_and_scores,
        _labels_and_scores,
        other_labels(lambda word: float(MEDU_SCORES["okay" if word.lower() == "ok" else word.lower()])),
        frozenset(f"{final}{name}" for final in ("", "final") for name in RATINGS),
        _label_of_json,
    )

    def parse(self, reply: str) -> Parsed:
        """The score of the label on which all labels of the reply agree."""
        return self.grammar.parse(reply, "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless")

    def claims(self, document: str) -> Sequence[float | None]:
        return self.grammar.claims(document)
