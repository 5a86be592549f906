"""The blind test as a person browses it: title -> Markdown, in which texts are escaped."""

from collections.abc import Iterable, Mapping
from itertools import islice

from datashop_assets.blind_test.results import PAIRS, RATIO, BlindTestResult, Tally
from datashop_assets.core.step import StepOutput
from datashop_assets.markdown import escaped, table

SHOWN = 5  # pairs in which the other document was chosen
METHODS = {
    "choice": "It was shown both documents, in balanced order, and chose the one that scores higher by the rubric.",
    "scores": "It scored each document by the prompt's own question; the higher expected score is its choice.",
}


def describe(output: StepOutput[BlindTestResult]) -> Mapping[str, str]:
    """What was found, by source and by place, why pairs were abstained from, and pairs where the other was chosen."""
    wrong = islice((row for row in output.rows(PAIRS) if row["outcome"] == "wrong"), SHOWN)
    pairs = [
        (escaped(row["source"]), escaped(row["kept_text"]), escaped(row["other_text"]), f"{row['kept_score']:.3f}")
        for row in wrong
    ]
    others = {
        "the other document was chosen": table(("source", "kept", "not kept", "encoder's score of the kept one"), pairs)
    }
    return {"blind test": _found(output.result), **(others if pairs else {})}


def _found(result: BlindTestResult) -> str:
    sentence = result.sentence()
    drawn = (
        "A pair is a kept document, drawn at random, and one that is not kept, of the same source and less than "
        f"{RATIO} times as long or short; {result.unmatched} kept documents had no such partner. None was annotated "
        "before."
    )
    said = f"{sentence[0].upper()}{sentence[1:]}. By chance half would be right. {METHODS[result.method]} {drawn}"
    tables = [_tallies("source", {"all": _all(result), **result.by_source}.items())]
    if result.chose_first is not None:
        said += f" It chose the first document {result.chose_first} of the times; without a bias half."
        tables.append(_tallies("the kept document stood", result.by_place_of_kept.items()))
    if result.abstained:
        reasons = [(escaped(reason), count) for reason, count in result.abstained.items()]
        tables.append(table(("abstained because", "pairs"), reasons))
    return "\n\n".join([said, *tables])


def _all(result: BlindTestResult) -> Tally:
    return Tally(pairs=result.pairs, right=result.right, abstained=result.abstentions, share_right=result.share_right)


def _tallies(head: str, tallies: Iterable[tuple[str, Tally]]) -> str:
    rows = [
        (
            escaped(name),
            one.pairs,
            one.right,
            one.abstained,
            "none" if one.share_right is None else str(one.share_right),
        )
        for name, one in tallies
    ]
    return table((head, "pairs", "right", "abstained", "share right"), rows)
