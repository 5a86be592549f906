"""The processors that come with Datashop, and how the name in a prompt file becomes one.

`finalscore0-5` reads a number after `Final score:`. `medu` reads one of the words Great, Good, Okay, Poor and Useless,
as 5 to 1, after `Label:` or alone on a line. Both leave to `verdicts` where a verdict may stand and what is refused.
Any other name is the import path of a class of the user's.
"""

import inspect
import pkgutil
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datashop_assets.asking.corrections import said_again
from datashop_assets.asking.forms import Form, any_of
from datashop_assets.asking.number_forms import DASH, DOUBT, HIGHEST_SCORE, NAMES, OPENING
from datashop_assets.asking.surroundings import other_labels, other_numbers
from datashop_assets.asking.verdicts import Grammar, Place, WrittenVerdict
from datashop_assets.asking.written_numbers import number_at, value_of
from datashop_assets.protocols.processor import Parsed, Processor
from datashop_assets.storage.digests import digest_of_bytes

_RATINGS = frozenset({"label", "score", "rating", "verdict", "grade"})
MEDU_SCORES = {"great": 5, "good": 4, "okay": 3, "poor": 2, "useless": 1}

_MARKS = r"[\s*_`\"'\u201d\\)\]}]{0,16}+"
_THEREFORE = r"(?:[ \t]+(?:therefore|thus|hence|then|consequently|accordingly)\b)?"
_IS = rf"(?:{_MARKS}(?:(?:is|was|of)\b{_THEREFORE}|[:=]|->|\u2192|{DASH}(?!\d))){{0,2}}+{OPENING}"
_BEFORE_IS = rf"(?={_MARKS}(?:[:=]|is\b|{DASH}\s))"
_FROM = rf"\d\s?(?:{DASH}|to|\.\.\.?)\s?"

# What the parts of "Final score (out of 5): 3" look like, each by an example.
MENTION = (
    Form("final_score>", r"(?<=<)final[_-]?score>"),
    Form(
        "Final **score",
        r"(?<![a-z])(?<!</)(?<![a-z][\u2010-])(?<!semi\s)(?<!quarter\s)(?<!half\s)final[\s*_`\"'-]{0,8}+score(?![a-z])",
    ),
    Form(
        "Revised score",
        r"(?<![a-z])(?<!</)(?:revised|corrected|adjusted|updated)[\s*_]{1,4}(?:final[\s*_]{1,4})?score(?![a-z])",
    ),
)
_WITHIN = r"(?P<of>\d{1,4}+)(?:\s?points?)?\s?[)\]]?"
SCALE = (
    Form(
        " (out of 5)",
        rf"{_MARKS}[(\[]?\s?(?:(?:(?:on\s+)?(?:an?\s+|the\s+)?scale(?:\s+(?:of|from))?|out\s+of|from|of|max(?:imum)?\.?|/)"
        rf"[\s:]*(?:{_FROM})?|{_FROM}){_WITHIN}{_BEFORE_IS}",
        ":",
    ),
)
NOTE = (
    Form(" (of the text)", rf"{_MARKS}\([^()\d%\n]{{0,60}}\){_BEFORE_IS}", ":"),
    Form(" for this text", rf"{_MARKS}for\s[^:=.\d\n]{{1,60}}{_BEFORE_IS}", ":"),
)
_MENTION = any_of(*MENTION)
STATED_SCALE = (
    Form(
        "Scale: 1-10",
        rf"^[^\w\n]{{0,8}}(?:(?:rating|score|scoring)\s)?scale[^\w\n]{{1,6}}(?:{_FROM})?(?P<alone>\d{{1,4}})"
        r"(?:\s?points?)?[^\w\n]{0,8}$",
    ),
    Form(
        "rated from 1 (worst) to 10",
        r"\b(?:rat|scor|grad|judg|mark)(?:e|ed|es|ing)\b[^.\n\d]{0,40}?\bfrom\s+\d{1,2}(?:\s*\([^()\n]{0,30}\))?\s+to\s+"
        r"(?P<rated>\d{1,4})",
    ),
    Form(
        "I rate on a scale from 1 to 10",
        rf"\b(?:I|we|rat(?:ed|ing))\b[^.\n\d]{{0,40}}\bon\s+an?\s+scale\s+(?:of|from)\s+(?:{_FROM})?(?P<mine>\d{{1,4}})",
    ),
    Form(
        "scale of 1 to 10: ",
        rf"\bscale\s+(?:of|from)\s+(?:{_FROM})?(?P<before>\d{{1,4}})[^\w\n]{{0,8}}(?:(?:my|the)\s)?(?={_MENTION.pattern})",
        "Final score",
    ),
    Form(
        "ten-point scale. ",
        rf"\b(?P<points>\d{{1,4}}|{'|'.join(NAMES)})[\s-]*point\s+scale[^\w\n]{{1,8}}(?:(?:my|the)\s)?(?={_MENTION.pattern})",
        "Final score",
    ),
    Form(
        "Out of 10, ",
        rf"\bout\s+of\s+(?P<out>\d{{1,4}}|{'|'.join(NAMES)})[^\w\n]{{1,8}}(?:(?:my|the)\s)?(?={_MENTION.pattern})",
        "Final score",
    ),
)
_SCALE, _NOTE, _STATED_SCALE = any_of(*SCALE), any_of(*NOTE), any_of(*STATED_SCALE)
_SCORE = re.compile(_IS, re.IGNORECASE)
_OPENING = re.compile(OPENING)

_WORDS = "great|good|okay|ok|poor|useless"
_WORD = rf"(?P<word>{_WORDS})(?![a-z])"
LABEL = (
    Form(
        "Label: **Good",
        rf"(?<![a-z])(?:label|score|rating|answer|judge?ment|verdict|grade)(?:>|{_IS}){_WORD}",
    ),
    Form(
        "rate it as good",
        r"(?<![a-z])(?:rate|choose|label|judge|grade|pick|select|assign)\s"
        rf"(?:(?!\b(?:not|never|{_WORDS})\b|n't\b)[^.\n]){{0,40}}?(?<![a-z])"
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
    rf"{_MARKS}(?:(?:[(\[,;:=]|{DASH})[\s*_]{{0,4}}(?:(?:score|rating)\W{{1,3}})?(?=[\d+-])|(?=\d[\d.]{{0,3}}\s?(?:/|out\s+of)))",
    re.IGNORECASE,
)
_NUMBER_ENDS = re.compile(
    r"(?:[ \t]{0,4}(?:points?|pts?|stars?|marks?)\b)?[ \t*_`\"'\u201d.]{0,8}(?:[)\]]|$)", re.IGNORECASE | re.MULTILINE
)
NEARLY = (Form("+", r"[+-](?![\w>+-])"), Form("-ish", r"-?ish\b"))
_NEARLY = any_of(*NEARLY)


def _final_scores(text: str) -> Iterator[Place]:
    stated = [value_of(next(filter(None, one.groups()))) for one in _STATED_SCALE.finditer(text)]
    highest = next((one for one in stated if one != HIGHEST_SCORE), HIGHEST_SCORE)
    for mention in _MENTION.finditer(text):
        scale = _SCALE.match(text, mention.end())
        found = _final_score(text, mention, scale.end(), int(scale["of"])) if scale else None
        if found := found or _final_score(text, mention, mention.end(), highest):
            yield found


def _final_score(text: str, mention: re.Match[str], end: int, scale: float) -> Place | None:
    note = _NOTE.match(text, end)
    separator = _SCORE.match(text, note.end() if note else end)
    begins = separator.end() if separator else end
    if (number := number_at(text, begins, scale)) is None:
        return None
    words = " ".join(text[mention.start() : number.ends].split())
    reason = number.reason and f"the final score {number.reason}"
    verdict = WrittenVerdict(words, number.value, reason, beside=not _is_final(mention))
    return Place(verdict, mention.start(), begins, number.ends)


def _is_final(mention: re.Match[str]) -> bool:
    """A revised score is none by itself: it takes back a final one."""
    return "final" in mention[0].lower()


def _score_of_json(text: str) -> Place | None:
    opening = _OPENING.match(text)
    begins = opening.end() if opening else 0
    if (number := number_at(text, begins)) is None:
        return None
    reason = number.reason and f"the final score {number.reason}"
    return Place(WrittenVerdict(f"score: {number.words}", number.value, reason), 0, begins, number.ends)


def _labels(text: str) -> Iterator[Place]:
    for found in _LABELLED.finditer(text):
        group = next(name for name in ("word", "chosen", "alone") if found[name])
        if group == "alone" and (_ACKNOWLEDGED.match(text, found.start()) or _BAD.search(text, found.end())):
            continue
        if _ALL_LABELS.match(text, found.start(group)):
            continue  # the labels to choose from
        verdict = _label(found[group], " ".join(found[0].split()))
        if (ends := _another_verdict(text, found.end(), verdict)) is not None:
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
        scale = _SCALE.match(text, leads.end())
        separator = _SCORE.match(text, scale.end() if scale else leads.end())
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
    number = _score_of_json(text)
    return number and replace(number, verdict=replace(number.verdict, beside=True))


class FinalScore:
    """A whole number from 0 to 5, as in `Final score: 4`, `**Final score:** 4/5`, `Final score is four`."""

    answers: Sequence[str] = tuple(f"Final score: {score}" for score in range(HIGHEST_SCORE + 1))
    version = "5"
    grammar = Grammar(_final_scores, other_numbers, frozenset({"finalscore"}), _score_of_json, _RATINGS)

    def parse(self, reply: str) -> Parsed:
        """The score on which all final scores of the reply agree."""
        mentioned = "no number after" if any(map(_is_final, _MENTION.finditer(reply))) else "does not say"
        return self.grammar.parse(reply, f"{mentioned} 'Final score:'")

    def claims(self, document: str) -> Sequence[float | None]:
        return self.grammar.claims(document)


class Medu:
    """A word as the MEDU prompt asks for it: after `Label:` or the like; where none is, alone on a line."""

    answers: Sequence[str] = tuple(word.capitalize() for word in MEDU_SCORES)
    version = "5"
    grammar = Grammar(
        _labels_and_scores,
        other_labels(lambda word: float(MEDU_SCORES["okay" if word == "OK" else word.lower()])),
        frozenset(f"{final}{name}" for final in ("", "final") for name in _RATINGS),
        _label_of_json,
    )

    def parse(self, reply: str) -> Parsed:
        """The score of the label on which all labels of the reply agree."""
        return self.grammar.parse(reply, "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless")

    def claims(self, document: str) -> Sequence[float | None]:
        return self.grammar.claims(document)


KNOWN: Mapping[str, type[Any]] = {"finalscore0-5": FinalScore, "medu": Medu}


def processor(name: str, options: Mapping[str, Any]) -> Processor:
    """An instance, tried on one reply. Raises `ValueError` that says what is wrong with it, and the fix."""
    cls = _class(name)
    try:
        instance = cls(**options)
        parsed, answers = instance.parse(""), tuple(instance.answers)
        read = [instance.parse(answer) for answer in answers if isinstance(answer, str)]
    except BaseException as error:  # also one that exits
        if _stops_us(error):
            raise
        raise ValueError(
            f"{name} cannot be used with options {dict(options)}: {type(error).__name__}: {error}; it is called with "
            "the options by name, must have `answers`, and `parse(reply)` must read any text, also an empty one"
        ) from error
    if not all(isinstance(one, Parsed) for one in (parsed, *read)) or len(read) < len(answers):
        raise ValueError(f"{name}.parse must return a Parsed of datashop_assets.protocols.processor, and answers texts")
    if unread := [answer for answer, one in zip(answers, read, strict=True) if one.score is None]:
        raise ValueError(f"{name}.parse does not read {unread[0]!r}, which its `answers` offer; remove or read it")
    return instance  # type: ignore[no-any-return]


def version_of(name: str) -> str:
    """What changes when the class reads replies otherwise: its `version`, else a digest of its module's source."""
    cls = _class(name)
    if isinstance(version := getattr(cls, "version", None), str):
        return version
    try:
        return digest_of_bytes(inspect.getsource(sys.modules[cls.__module__]).encode())
    except (OSError, TypeError) as error:
        raise ValueError(f"{name} has no source that can be read; give the class a `version`") from error


def _class(name: str) -> type[Any]:
    if name in KNOWN:
        return KNOWN[name]
    try:
        cls = pkgutil.resolve_name(name)
    except BaseException as error:
        if _stops_us(error):
            raise
        raise ValueError(
            f"{name} cannot be imported ({type(error).__name__}: {error}); use finalscore0-5, medu, or the import path "
            "package.module:Class of a class on PYTHONPATH"
        ) from error
    if not inspect.isclass(cls):
        raise ValueError(f"{name} is a {type(cls).__name__}, not a class; name the class itself")
    if not callable(getattr(cls, "parse", None)):  # before it is called: `subprocess:Popen` would run its options
        raise ValueError(f"{name} is not a processor: the class has no `parse(reply)`; name another, or write it")
    return cls


def _stops_us(error: BaseException) -> bool:
    """Whether a signal ends what we do, rather than a processor's code: signals reach the main thread alone."""
    by_signal = isinstance(error, KeyboardInterrupt) or type(error).__module__.startswith("dagster.")
    return by_signal and threading.current_thread() is threading.main_thread()
