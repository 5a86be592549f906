"""One of the words Great, Good, Okay, Poor and Useless: where one is a label, and the processor that reads it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from datashop_assets.asking.clauses import other_labels
from datashop_assets.asking.corrections import said_again, taken_back
from datashop_assets.asking.final_scores import IS, MARKS, RATINGS, SCALE_BEFORE, SCORE, score_of_json
from datashop_assets.asking.forms import Form, any_of
from datashop_assets.asking.number_forms import DASH, DOUBT, HIGHEST_SCORE, OPENING
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
_JOINING = (
    rf"(?:/|\||,|;|{DASH}|or|to|and|but|yet|though|although|maybe|perhaps|possibly|probably|almost|nearly|even|rather|"
    r"bordering\s+on|verging\s+on|leaning(?:\s+towards?)?|with\s+(?:some|a\s+few))"
)
OTHER_LABEL = (  # behind a label: one more, so that it is no verdict
    Form(
        ", but poor",
        rf"[\s*_`\"'\u201d)]{{0,8}}(?:(?:(?<![a-z]){_JOINING}(?![a-z])|{DASH}|[/|,;])\s{{0,4}}){{1,4}}+{OPENING}(?<![a-z]){_WORD}",
    ),
    Form(
        "; clarity: Poor",  # a part of the text under a key of its own
        rf"[^\S\n]*[.;,|(\[*_][^:=\d\n]{{1,40}}[:=]{OPENING}{_WORD.replace('word', 'part')}"
        r"(?=[\s*_`\"'\u201d)\]]{0,8}(?:[.,;|\n]|$))",
    ),
    Form(
        " in parts, the end is Poor",  # in the same sentence, written as a label
        r"[^.;:!?\n]{1,80}?(?<![\w-])(?<!not\s)(?<!not\sa\s)(?<!n't\s)(?<!never\s)(?<!than\s)(?<!of\s)(?<!nor\s)"
        r"(?-i:(?P<second>Great|Good|Okay|OK|Poor|Useless)(?![a-z]|\s[A-Z]))",  # and not the Great War
    ),
)
# A word that is no label: said to the one who asks, or a heading.
ACKNOWLEDGED = (
    Form(
        "Okay.",
        r"\A\s{0,8}(?:okay|ok|great|good)\b[.!:,]?(?=\s*\n\s*(?!(?:\W{0,4}(?:reason|justification|explanation|rationale|"
        r"because|why)))\S)",
        "\nThe text is short.",
    ),
    Form("Okay: the", r"^[^\w\n]{0,16}ok(?:ay)?[*_ \t]{0,4}[:\u2013\u2014][*_ \t]{0,4}\w+"),
    Form("## Good", rf"^[ \t]{{0,4}}#{{1,6}}[ \t]*[*_]{{0,3}}(?:{_WORDS})[*_: \t]{{0,6}}(?=\n\s*\S)", "\n\n- explains"),
    Form("Good:", rf"^[^\w\n]{{0,16}}(?:{_WORDS})[*_ \t]{{0,4}}:(?=[*_ \t]*\n)", "\n- It explains."),
)
FILLER = (
    Form("Okay, so", r"ok(?:ay)?[,.][ \t]+(?:so|now|first|here|well|alright|this\s+text|the\s+text)\b"),
    Form(
        "Great, let me", r"(?:okay|ok|great|good)[,.!:][ \t]+(?:let\s+(?:me|us)|let's|i'll|i\s+will|here\s+is|here's)\b"
    ),
)
_BAD = re.compile(
    r"^[^\w\n]{0,16}(?:the\s+)?(?:bad|ugly|cons|weak(?:ness(?:es)?)?|negatives?|missing|"
    r"(?:less|not\s+so)\s+good)[*_ \t]{0,4}:",
    re.IGNORECASE | re.MULTILINE,
)
_ALL_LABELS = re.compile(rf"(?:{_WORDS})(?:\s?[/|,]\s?(?:or\s+)?(?:{_WORDS})){{4}}(?!\w)", re.IGNORECASE)
_ACKNOWLEDGED, _FILLER = any_of(*ACKNOWLEDGED), any_of(*FILLER)
_LABELLED, _OTHER_LABEL = any_of(*LABEL), any_of(*OTHER_LABEL)
_SCORE_BESIDE = re.compile(
    r"(?:^|[.;,|]\s)[^\w\n]{0,8}(?:(?:final|overall|total|numeric(?:al)?)[\s_-])?(?:score|rating|grade)(?![a-z])",
    re.IGNORECASE | re.MULTILINE,
)
_SAID_AGAIN = said_again("|".join((*MEDU_SCORES, "ok")))
_WITH_NUMBER = re.compile(
    rf"{MARKS}(?:(?:[(\[,;:=]|{DASH})[\s*_]{{0,4}}(?:(?:score|rating)\W{{1,3}})?(?=[\d+-])|(?=\d[\d.]{{0,3}}\s?(?:/|out\s+of)))",
    re.IGNORECASE,
)
_NUMBER_ENDS = re.compile(
    r"(?:[ \t]{0,4}(?:points?|pts?|stars?|marks?)\b)?[ \t*_`\"'\u201d.]{0,8}(?:[)\]]|$)", re.IGNORECASE | re.MULTILINE
)
NEARLY = (Form("+", r"[+-](?![\w>+-])"), Form("-ish", r"-?ish\b"))
_NEARLY = any_of(*NEARLY)


def _labels(text: str) -> Iterator[Place]:
    for found in _LABELLED.finditer(text):
        group = next(name for name in ("word", "chosen", "alone") if found[name])
        if group == "alone" and (_ACKNOWLEDGED.match(text, found.start()) or _BAD.search(text, found.end())):
            continue
        if _ALL_LABELS.match(text, found.start(group)):
            continue  # the labels to choose from
        verdict = _label(found[group], " ".join(found[0].split()))
        score = verdict.score
        if (ends := _another_verdict(text, found.end(), verdict)) is None and group != "alone":
            ends = taken_back(text, found.end(), _WORDS, lambda word: _label(word, "").score != score)  # noqa: B023
        if ends is not None:
            words = " ".join(text[found.start() : ends].split())
            verdict = WrittenVerdict(words, None, f"the label {words!r} is more than one")
        elif group != "alone" and (doubt := DOUBT.match(text, found.end())):
            words = " ".join(text[found.start() : doubt.end()].split())
            verdict = WrittenVerdict(words, None, f"the label {words!r} is doubted or rejected")
        elif filler := _FILLER.match(text, found.start(group)):
            words = " ".join(text[found.start() : filler.end()].split())
            verdict = WrittenVerdict(words, None, f"the label {words!r} may be an acknowledgement")
        elif nearly := _NEARLY.match(text, found.end()):
            words = " ".join(text[found.start() : nearly.end()].split())
            verdict = WrittenVerdict(words, None, f"the label {words!r} is more or less than one of the labels")
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


def _another_verdict(text: str, end: int, verdict: WrittenVerdict) -> int | None:
    """Where another verdict ends that follows a label and says something else; None where none does.

    It is a label, or a number in its place: `Great (3/5)`.
    """
    if other := _OTHER_LABEL.match(text, end):
        second = other["second"] or other["part"]
        same = second is not None and _label(second, "").score == verdict.score
        return None if same else other.end()
    if again := _SAID_AGAIN.match(text, end):
        return again.end() if _label(again["again"], "").score != verdict.score else None
    if (leads := _WITH_NUMBER.match(text, end)) and (number := number_at(text, leads.end())):
        bare = "/" in number.words or "of" in number.words or _NUMBER_ENDS.match(text, number.ends)
        return number.ends if bare and number.value != verdict.score else None
    return None


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
        other_labels(lambda word: float(MEDU_SCORES["okay" if word == "OK" else word.lower()])),
        frozenset(f"{final}{name}" for final in ("", "final") for name in RATINGS),
        _label_of_json,
    )

    def parse(self, reply: str) -> Parsed:
        """The score of the label on which all labels of the reply agree."""
        return self.grammar.parse(reply, "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless")

    def claims(self, document: str) -> Sequence[float | None]:
        return self.grammar.claims(document)
