"""Where the verdict of a written reply is, which forms it may take, and what is refused instead of guessed.

The grammar, from the whole to the parts:

    reply    = the model's turn: after its thinking, before the end of the turn (`turns`)
    turn     = text with verdicts, as JSON or in words; what follows a line "User:" after a verdict is another turn
    verdict  = "Final score" [scale] ["is" | "of" | ":" | "=" | "-"] number, in whatever marks of Markdown, LaTeX, XML
    scale    = "(out of 5)" | "(0-5)" | …
    number   = digits or a name, with the scale behind it: "3", "<3>", "\\(3\\)", "**3**", "3/5", "3 out of 5", "three",
               a full-width digit; or the result of a sum: "2 + 1 = 3" (`written_numbers`). Another scale that the reply
               states ("Scale: 1-10", "out of 10") counts where the verdict names none
    label    = "Label" [":" | "="] one of the processor's words; or such a word alone at the reply's end
    around   = before it words that state it (`leads`), behind it nothing or an explanation of the text (`clauses`)

No verdict: what stands in quotation marks, code or a block quote, unless it is alone on its line or is JSON; what the
reply says that the text says ("the document claims Final score: 5"); what is said under a condition ("if it had any
sources, Final score: 5"); an acknowledgement or heading ("Okay.", "Good:"); a mention without a number.

Refused, with a reason: a range ("3 to 4", "3-4", "3 or 4"), a fraction ("3 1/2"), a percentage, another scale
("7/10") or unit ("3 thousand"), a number that is not whole or not from 0 to 5, a bound ("3+"), a sum that does not add
up or has no result, a number that counts something ("5 criteria") or begins a list; whatever else stands around it;
verdicts that differ, a total ("Total: 2") or a key of the same object among them. Verdicts that agree are one.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from datashop_assets.asking.clauses import Others, refusal
from datashop_assets.asking.leads import Lead, has_no_text, lead_of, only_leads
from datashop_assets.asking.turns import turn_of
from datashop_assets.asking.written_numbers import plain
from datashop_assets.protocols.processor import Parsed

# All repetitions are bounded, so that no reply takes long to read.
_ANOTHER_TURN = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*|\*\*)?(?:user|human|instruction|prompt)\b[*\s]{0,4}:", re.IGNORECASE | re.MULTILINE
)
_FENCE = re.compile(r"^[ \t]*(`{3,}+|~{3,}+)[^\n]*+\n(?P<code>.*?)(?:^[ \t]*\1[`~]*|\Z)", re.MULTILINE | re.DOTALL)
_QUOTATION = re.compile(
    r"^[ \t]*>[^\n]*$"
    r"|\u201c[^\u201c\u201d]{0,2000}+\u201d|\u201e[^\u201c\u201d]{0,2000}+[\u201c\u201d]"
    r"|\u00ab[^\u00ab\u00bb]{0,2000}+\u00bb|[\u300c\u300e][^\u300d\u300f]{0,2000}+[\u300d\u300f]"
    r"|(?<!\w)\u2018[^\u2018\n]{0,300}?\u2019(?!\w)|(?<![\w'])'(?=\S)[^\n]{0,300}?(?<=\S)'(?!\w)"
    r"|(?<![\w\"])\"(?=\S)(?:[^\"\n]|\n(?!\s{0,8}\n)){0,2000}?(?<=\S)\"(?!\w)"
    r"|(?<!`)`[^`\n]{1,500}`(?!`)",
    re.MULTILINE,
)
_ONLY_MARKS = re.compile(r"[\s*_#(){}\[\]$\\.,:;`\"'-]*")
_SAYS = (
    "says?|said|claims?|claimed|states?|stated|asks?|demands?|insists?|wants?|instructs?|declares?|announces?|reads?"
)
_REPORTED = re.compile(  # right before a verdict that is somebody else's
    r"(?:\b(?:text|document|passage|excerpt|author|writer|page|article|example|sample|post)"
    rf"(?:\s+(?:itself|also|already|even|falsely|merely|just|then|simply)){{0,2}}\s+(?:{_SAYS}|ends?|ended|tells?|"
    r"contains?|includes?|suggests?|proposes?|writes?|wrote|gives?|assigns?|quotes?)"
    rf"|\b(?:it|itself|he|she|they|which|who)\s+(?:{_SAYS}))"
    r"(?:\s+(?:with|in|on|for|by|that|me|us|you|to|give|say|write|end|this|the|its|his|her|a|an|own|line|words?|phrase|"
    r"sentence|string)\b){0,6}[\s:,*_`\"'\u201c(>-]*$"
    r"|\b(?:not|never|\w+n't|rather[ \t]+than|instead[ \t]+of|ignored?|ignoring)(?:[ \t]+\w+){0,3}[ \t*_`\"'\u201c(]*$",
    re.IGNORECASE,
)
_REPORTED_AFTER = re.compile(
    r"[\s.,\"'\u201d)*_`]{0,8}(?:(?:is|was)\s+what|as|says|claims|according\s+to)\s+(?:the|its|this)\s+"
    r"(?:text|document|passage|excerpt|author|writer|page|article)\b",
    re.IGNORECASE,
)
_REACHED = re.compile(
    r"(?<!manages )(?<!managed )\bto\s+(?:reach|get|earn|achieve|receive|deserve)\s+an?\s+(?:higher\s+)?$", re.I
)
_REACHED_AFTER = re.compile(r"[^.\n]{0,80}?\b(?:would|must|needs?|should|could|requires?|lacks?)\b", re.IGNORECASE)
_CONDITION_AFTER = re.compile(r"(?:\s+would)?\s+(?:require|need|take|call\s+for|demand)\b", re.IGNORECASE)
_BEFORE = 160  # characters in which such words are looked for
_OUT_OF = re.compile(
    r".*outof|max(?:imum)?(?:possible)?(?:score|points?|rating|value)?|(?:points?|score|total)possible|highest(?:possible)?score|"
    r"scoremax|denominator|ratingsystem|"
    r".*scale(?:max)?|.*range"
)
_TOTALS = frozenset(
    f"{kind}{name}"
    for kind in ("total", "overall", "revised", "adjusted", "corrected", "updated", "actual")
    for name in ("", "score", "finalscore", "points", "rating", "label", "grade")
)
_CHANGED_IN_JSON = re.compile(
    r"\b(?:actually|should\s+be|corrected|correction|revised|instead|mistaken?|placeholder|(?:out\s+of|scale|to|/)\s*(?:10|20|100))\b",
    re.IGNORECASE,
)
_QUOTING = frozenset({"quote", "quotes", "quotation", "excerpt", "evidence", "text", "document", "passage", "input"})
# Letters of Cyrillic, Greek and Armenian that are drawn as Latin ones are, by which a verdict may be hidden.
_LOOKALIKES = str.maketrans(
    "\u0430\u0432\u0435\u0456\u0458\u043a\u04cf\u043c\u043f\u043e\u0440\u0433\u0441\u0455\u0442\u0443\u0445"
    "\u0410\u0412\u0415\u0406\u041a\u041c\u041d\u041e\u0420\u0421\u0405\u0422\u0425"
    "\u03b1\u03b5\u03b9\u03bd\u03bf\u03c1\u03f2\u0391\u0395\u0399\u039d\u039f\u03a1\u03f9\u03dc\u0585\u0578",
    "abeijklmnoprcstyxABEIKMHOPCSTXaeivopcAEINOPCFon",
)
PARTS = "holds several scores with words between them, which may be of parts"
QUOTED_ONLY = "holds a score in quotation only"
CONDITION_ONLY = "holds a score under a condition only"
CHANGED = "holds a score, and a text that may change it"
OTHERWISE_ONLY = "holds a score only in a sentence that may not state it"


@dataclass(frozen=True, slots=True)
class WrittenVerdict:
    """One verdict as it is written: its score, or why it is none.

    One that is `beside` is none by itself, but may contradict another: a number beside a label.
    """

    words: str
    score: float | None
    reason: str = ""
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A verdict in a text: where its mention begins, where its number or label does, and where that ends.

    A `weak` one counts where no other is.
    """

    verdict: WrittenVerdict
    begins: int
    value: int
    ends: int
    weak: bool = False


@dataclass(frozen=True)
class Grammar:
    """How one kind of verdict is written.

    `places`: every one in a text, wherever it stands; `claimed`: the same on whatever scale. `others`: what of the
    words behind it is another score. `keys`: of a JSON object, letters only, whose `value` is one. `keys_beside`: those
    whose value is one beside what the object's texts say.
    """

    places: Callable[[str], Iterable[Place]]
    claimed: Callable[[str], Iterable[Place]]
    others: Others
    keys: frozenset[str]
    value: Callable[[str], Place | None]
    keys_beside: frozenset[str] = frozenset()

    def parse(self, reply: str, missing: str) -> Parsed:
        """The score on which all the model's own verdicts agree; `missing` is the reason where there is none."""
        turn = turn_of(reply)
        if not turn.answer:
            return Parsed(None, turn.reason)
        verdicts, not_own = self._own(plain(turn.answer))
        refused = next((one.reason for one in verdicts if one.score is None), "")
        if verdicts and has_no_text(turn.answer):
            refused = "says that there is no text, or asks for it"
        elif all(one.beside for one in verdicts):
            refused = refused or not_own or missing
        first = next((one for one in verdicts if not one.beside), None)
        if refused or first is None:
            return Parsed(None, refused)
        if other := next((one for one in verdicts if one.score != first.score), None):
            return Parsed(None, f"two scores disagree: {first.words!r} and {other.words!r}")
        return Parsed(first.score)

    def claims(self, document: str) -> list[float | None]:
        """All that looks like a verdict in a document, quoted or not; None for one that is refused."""
        return [
            one.verdict.score for one in self.claimed(plain(document).translate(_LOOKALIKES)) if not one.verdict.beside
        ]

    def _own(self, text: str) -> tuple[list[WrittenVerdict], str]:
        """The model's own verdicts, and why others are none."""
        if (members := _json(text)) is not None:
            return self._of_json(members)
        found: list[WrittenVerdict] = []
        kept, at, not_own = "", 0, ""
        for fence in _FENCE.finditer(text):
            code = fence["code"].strip()
            kept += text[at : fence.start()]
            at = fence.end()
            if (members := _json(code)) is not None:
                verdicts, others = self._of_json(members)
                found, not_own = found + verdicts, not_own or others
            elif "\n" not in code:  # a verdict put into a box is still one
                kept += f"\n{code}\n"
            else:
                kept += "\n\u2026\n"
        places, others = self._in_words(kept + text[at:])
        return found + [one.verdict for one in places], others or not_own

    def _in_words(self, text: str) -> tuple[list[Place], str]:
        own: list[Place] = []
        doubtful: set[int] = set()  # where those begin whose lead may not state them
        not_own, next_turn = "", len(text)
        quotations = [span for one in _QUOTATION.finditer(text) if not _alone(text, *(span := one.span()))]
        starts = [begin for begin, _ in quotations]
        others: list[tuple[int, int]] = []  # verdicts that are not the model's own
        for place in self.places(text):
            if place.begins >= next_turn:
                break
            before = bisect_right(starts, place.begins) - 1
            quoted = before >= 0 and place.value < quotations[before][1]
            lead = lead_of(text, place.begins, place.value, place.ends)
            conditional = lead is Lead.CONDITION
            if why := QUOTED_ONLY if quoted or _reported(text, place) else CONDITION_ONLY if conditional else "":
                not_own = not_own or why
                others.append((place.begins, place.ends))
                continue
            if lead is Lead.UNKNOWN:
                not_own = not_own or OTHERWISE_ONLY
                doubtful |= set() if place.verdict.beside else {place.begins}
                place = replace(place, verdict=replace(place.verdict, beside=True))  # noqa: PLW2901
            own.append(place)
            if len(own) == 1 and (turn := _ANOTHER_TURN.search(text, place.ends)):
                next_turn = turn.start()
        strong = any(not one.weak and not one.verdict.beside for one in own)
        counted = [one for one in own if not (strong and one.weak)]
        beside = [(one.begins, one.ends) for one in counted if one.verdict.beside]
        said = _without(text, sorted([*others, *beside]))
        begins = [*(one.begins for one in counted if not one.verdict.beside), next_turn]
        checked = [self._checked(one, said, begins[bisect_right(begins, one.begins)]) for one in counted]
        stated = [at for at, one in enumerate(checked) if not one.verdict.beside or one.begins in doubtful]
        for before, at in pairwise(stated):
            following = checked[at]
            if following.verdict.score is not None and not only_leads(said[checked[before].ends : following.begins]):
                checked[at] = replace(following, verdict=replace(following.verdict, score=None, reason=PARTS))
                break
        return checked, not_own

    def _checked(self, place: Place, text: str, until: int) -> Place:
        """A verdict with what follows it up to `until` taken into account."""
        verdict = place.verdict
        if verdict.score is None or verdict.beside:
            return place
        if not (why := refusal(text, place.ends, until, verdict.score, self.others)):
            return place
        return replace(place, verdict=replace(verdict, score=None, reason=f"{verdict.words!r} {why}"))

    def _of_json(self, members: Sequence[tuple[str, Any]]) -> tuple[list[WrittenVerdict], str]:
        """By key; where no key is one, what its texts say that are no quotation. And why others are none."""
        scales = [
            value[-1] if isinstance(value, list) and value else value
            for key, value in members
            if _OUT_OF.fullmatch(key)
        ]
        scale = f" out of {scales[0]}" if scales else ""

        def values(keys: frozenset[str]) -> list[WrittenVerdict]:
            named = [plain(f"{value}{scale}") for key, value in members if key in keys and not isinstance(value, bool)]
            places = [(place, text) for text in named if (place := self.value(text)) is not None]
            return [self._checked(place, text, len(text)).verdict for place, text in places]

        if any(key in self.keys for key, _ in members):
            labels = frozenset(key for key, _ in members if key.endswith("label")) - self.keys
            others = [replace(one, beside=True) for one in values(self.keys_beside | _TOTALS | labels)]
            words = " ".join(value for key, value in members if isinstance(value, str) and key not in self.keys)
            changed = [
                WrittenVerdict(found[0], None, f"{CHANGED}: {found[0]!r}") for found in _CHANGED_IN_JSON.finditer(words)
            ]
            return values(self.keys) + others + changed[:1], ""
        texts = [(key, self._in_words(plain(value))) for key, value in members if isinstance(value, str)]
        said = [place.verdict for key, (places, _) in texts for place in places if key not in _QUOTING]
        quoted = any(places and key in _QUOTING for key, (places, _) in texts)
        not_own = next((why for _, (_, why) in texts if why), QUOTED_ONLY if quoted else "")
        return said + [replace(one, beside=True) for one in values(self.keys_beside)], not_own


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` with blanks in `spans`, which are in order."""
    parts, at = [], 0
    for begin, end in spans:
        parts += [text[at:begin], " " * (end - max(begin, at))]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def _json(text: str) -> list[tuple[str, Any]] | None:
    """All keys and values of a JSON object, those inside other objects too; None where `text` is none."""
    if not (text.lstrip().startswith("{") and text.rstrip().endswith("}")):
        return None
    members: list[tuple[str, Any]] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        members.extend(("".join(filter(str.isalpha, key.lower())), value) for key, value in pairs)

    try:
        json.loads(text, object_pairs_hook=note, strict=False)
    except (ValueError, RecursionError):
        return None
    return members


def _alone(text: str, begin: int, end: int) -> bool:
    """Whether marks of quotation stand around a whole line: so are verdicts written that a rubric shows in marks."""
    if text[begin:end].lstrip().startswith(">") or "\n" in text[begin:end]:
        return False
    before = text[text.rfind("\n", 0, begin) + 1 : begin]
    after = text[end : after_line if (after_line := text.find("\n", end)) >= 0 else len(text)]
    return bool(_ONLY_MARKS.fullmatch(before) and _ONLY_MARKS.fullmatch(after))


def _reported(text: str, place: Place) -> bool:
    """Whether the reply says that somebody else says so, that it does not, or what it would take."""
    before = text[max(0, place.begins - _BEFORE) : place.begins]
    if _CONDITION_AFTER.match(text, place.ends):  # "a final score of 5 would require sources"
        return True
    if _REACHED.search(before) and _REACHED_AFTER.match(text, place.ends):
        return True
    return bool(_REPORTED.search(before) or _REPORTED_AFTER.match(text, place.ends))
