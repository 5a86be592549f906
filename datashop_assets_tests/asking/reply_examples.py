"""Replies and how they are read: the cases of the tests of processors, and the page `docs/replies.md`."""

import json
from collections.abc import Mapping
from typing import Any

from datashop_assets.protocols.annotator import Ended
from datashop_assets.protocols.processor import Parsed
from datashop_assets_tests.handled_inputs import Example, Page, Table


def scores(given: str, score: int) -> Example[Parsed]:
    return Example(given, Parsed(score), f"**{score}**")


def refused(given: str, reason: str) -> Example[Parsed]:
    return Example(given, Parsed(None, reason), reason)


HEAD = ("reply", "score")
MORE = "is more than one number"

FORMS = Table(
    "Forms of a score",
    "`finalscore0-5` reads a whole number from 0 to 5 after `Final score:`. It may stand in marks of Markdown, LaTeX, "
    "XML or JSON, name the scale it is on, or be the result of a sum.",
    (
        scores("Final score: 4", 4),
        scores("**Final score:** 4/5", 4),
        scores("Final Score is four.", 4),
        scores("## Final Score\n2 points", 2),
        scores("FINAL SCORE: [1]", 1),
        scores("Final score: <3>", 3),
        scores("<final_score>3</final_score>", 3),
        scores(r"Final score: \(3\)", 3),
        scores(r"**Final score:** $\boxed{3}$", 3),
        scores("Final score: **3** out of **5**", 3),
        scores("Final score (out of 5): 3", 3),
        scores("Final score (0-5): 3", 3),
        scores("Final score: 3 on a scale of 0 to 5", 3),
        scores("Final score: 3 (on a 0-5 scale)", 3),
        scores("Final score for this text: 3", 3),
        scores("Final score\uff1a4", 4),
        scores("Final score: \uff13", 3),
        scores("Final score: ③", 3),
        scores("final score: 5.0", 5),
        scores("final_score = 3", 3),
        scores("Final score: <strong>3</strong>/5", 3),
        scores("| Final score | 3 |", 3),
        scores("Final score: 【3】", 3),
        scores("Final score: 3 (three)", 3),
        refused("Final score: 3 points (2 points deducted)", "'Final score: 3' is followed by '(2 points'"),
        scores("Scale: 0-5\nFinal score: 3", 3),
        scores('{"scale": "0-5", "final_score": 3}', 3),
        scores('{"reason": "It says \\"Final score: 5\\".", "final_score": 2}', 2),
        scores('```json\n{"reason": "braces {a: 1} in it", "final_score": 3}\n```', 3),
        scores("Final score: 2 + 1 = 3", 3),
        scores("Final score: 1 (topic) + 2 (depth) = 3 points", 3),
        scores("Final score: 5 minus 2 = 3", 3),
        scores("Final score: 2 for structure + 1 for depth = 3", 3),
        refused("Final score: 3, because 4 would be too much", "'Final score: 3' is followed by ', because 4 would'"),
        scores("Final score: N is hard to say. Final score: 2", 2),
        scores("Final score: 4.\n\nFinal score: 4", 4),
        refused(
            "Final score: 4\n\nHowever, I would add 1 point for exercises.",
            "'Final score: 4' is followed by 'However, I would'",
        ),
        scores("Final score: 3分", 3),
        scores("Final score: 3点", 3),
        scores("Final score: 3점", 3),
        scores("Final score: 3分\uff08满分5分\uff09", 3),
        scores("Final score: 3 из 5", 3),
        scores("Final score: 3 von 5 Punkten", 3),
        scores("Final score: 3 sur 5", 3),
        scores("Final score: 2 (1 + 1 + 0)", 2),
        refused("Final score: 3 (3 of 5 criteria met)", "'Final score: 3' is followed by '(3 of 5'"),
        scores("## Final score\n\n3\n\n1. Past: yes\n2. Dates: yes", 3),
        scores(r"\text{Final score} = 3", 3),
        scores(r"\[\textbf{Final score: } 3\]", 3),
        scores(r"$\boxed{\text{Final score: } 3}$", 3),
        scores("Final score: <|begin_of_box|>3<|end_of_box|>", 3),
        scores("Final score: 2\n\nA final score of 5 would require sources.", 2),
        refused(
            "Final score: 2\n\nTo reach a final score of 4 it would need sources.",
            "'Final score: 2' is followed by 'To reach a it would'",
        ),
    ),
    HEAD,
)

REFUSED = Table(
    "What is no one score",
    "Nothing is guessed. Such a reply is `unparsed` with this reason, and is asked for a second try.",
    (
        refused("Final score: 3 to 4", "the final score '3 to 4' is more than one number"),
        refused("Final score: 3-4", "the final score '3-4' is more than one number"),
        refused("Final score: 3 or 5", "the final score '3 or 5' is more than one number"),
        refused("Final score: three or four", "the final score 'three or four' is more than one number"),
        refused("Final score: 3, maybe 4", "the final score '3, maybe 4' is more than one number"),
        refused("Final score: 3 -> 4", "the final score '3 -> 4' is more than one number"),
        refused("Final score: 3 1/2", "the final score '3 1/2' is a fraction, not a whole number"),
        refused("Final score: 3 and a half", "the final score '3 and a half' is a fraction, not a whole number"),
        refused("Final score: 3.5", "the final score 3.5 is not a whole number from 0 to 5"),
        refused("Final score: 6", "the final score 6 is not a whole number from 0 to 5"),
        refused("Final score: -1", "the final score -1 is not a whole number from 0 to 5"),
        refused("Final score: 45", "the final score 45 is not a whole number from 0 to 5"),
        refused("Final score: 4%", "the final score '4%' is a percentage"),
        refused("Final score: 7/10", "the final score '7/10' is out of 10, not of 5"),
        refused("Final score: 4/0", "the final score '4/0' is out of 0, not of 5"),
        refused("Final score: 3 points out of 10", "the final score '3 points out of 10' is out of 10, not of 5"),
        refused("Final score (1-10): 4", "the final score '4' is out of 10, not of 5"),
        refused('{"final_score": 4, "out_of": 10}', "the final score '4 out of 10' is out of 10, not of 5"),
        refused(
            "Final score: 3 out of a possible 10", "the final score '3 out of a possible 10' is out of 10, not of 5"
        ),
        refused(
            "Final score: 3 (1 = bad, 10 = best)", "the final score '3 (1 = bad, 10 = best' is out of 10, not of 5"
        ),
        refused(
            "Final score: 4 on the ten-point scale", "the final score '4 on the ten-point scale' is out of 10, not of 5"
        ),
        refused("Final score: 4 out of 5.5", "the final score '4 out of 5.5' is out of 5.5, not of 5"),
        refused("On a scale of 1 to 10: Final score: 4", "the final score '4' is out of 10, not of 5"),
        refused("Final score: 4\n\nScale: 1-10", "the final score '4' is out of 10, not of 5"),
        refused('{"final_score": 3, "scale": "0-10"}', "the final score '3 out of 0-10' is out of 10, not of 5"),
        refused("Final score: 3 ‰", "the final score '3 ‰' is a percentage"),
        refused("Final score: 3 tenths", "the final score '3 tenths' is a fraction, not a whole number"),
        refused("Final score: 3 thousand", "the final score '3 thousand' is in another unit"),
        refused("Final score: three hundred", "the final score 'three hundred' is in another unit"),
        refused("Final score: **3** minutes", "the final score '3** minutes' is in another unit"),
        refused("Final score: 3 bananas", "the final score '3 bananas' is in another unit"),
        refused("Final score: 3 ± 1", "the final score '3 ± 1' is a bound or a condition, not a score"),
        refused("Final score: 4 minus", "the final score '4 minus' is a bound or a condition, not a score"),
        refused("Final score: 3 -> final: 4", "'Final score: 3' is followed by '-> final: 4'"),
        refused(
            "Final score: 3 (three and a half)",
            "the final score '3 (three and a half' is a fraction, not a whole number",
        ),
        refused("Final score: 3 €", "the final score '3 €' is in another unit"),
        refused("Final score: 4·5", "no number after 'Final score:'"),
        refused("Final score: 3/5 for style, 4/5 for content", f"the final score '3/5 for style, 4' {MORE}"),
        refused("Final score: 3 (could be 4)", "'Final score: 3' is followed by '(could'"),
        refused("Final score: 3/5 (7/10)", "'Final score: 3/5' is followed by '(7/10'"),
        refused("Final score: 4. No, 3.", "'Final score: 4' is followed by 'No, 3'"),
        refused("Final score: 4 (edit: 3)", "'Final score: 4' is followed by '(edit'"),
        refused("Final score: 4\nRevised score: 3", "two scores disagree: 'Final score: 4' and 'Revised score: 3'"),
        refused("Final score: 4. That is too kind, I'd say 3.", "'Final score: 4' is followed by 'That is too kind'"),
        refused("Final score: 5?", "the final score '5?' is doubted or rejected"),
        refused("Final score: 5 is too high; 3", "the final score '5 is too' is doubted or rejected"),
        refused("Final score: 5 would be excessive, so 3", "the final score '5 would' is doubted or rejected"),
        refused("Final score: 5, minus 2 for ads", "the final score '5, minus 2' is a sum without its result"),
        refused("Final score: 2 (+1 for tone)", "the final score '2 (+1' is a sum without its result"),
        refused("Final score: 3 minimum", "the final score '3 minimum' is a bound or a condition, not a score"),
        refused("Final score: 2 + 1", "the final score '2 + 1' is a sum without its result"),
        refused("Final score: 5 [-2 for ads]", "the final score '5 [-2' is a sum without its result"),
        refused(
            "Final score: 5 minus a penalty of 2",
            "the final score '5 minus a penalty of 2' is a sum without its result",
        ),
        refused(
            "Final score: 5 with a deduction of 2",
            "the final score '5 with a deduction of 2' is a sum without its result",
        ),
        refused("Final score: 2 (style), 3 (content)", f"the final score '2 (style), 3' {MORE}"),
        refused("Final score: 2 (style) 2 (content)", f"the final score '2 (style) 2' {MORE}"),
        refused("Final score: 3 - style; 4 - content", f"the final score '3 - style; 4 -' {MORE}"),
        refused("Final score: 5 lowered to 3", "'Final score: 5' is followed by 'lowered to 3'"),
        refused("Final score: 3. I change this to 4.", "'Final score: 3' is followed by 'I change this to 4'"),
        refused("Final score: 3\n\nActually, I'd go with 4.", "'Final score: 3' is followed by 'Actually'"),
        refused("Final score: 3\n\nFinal answer: 4", "'Final score: 3' is followed by 'Final answer: 4'"),
        refused(
            "Final score: 3\nIt is thin.\n\nRevised score: 2",
            "two scores disagree: 'Final score: 3' and 'Revised score: 2'",
        ),
        refused(
            "Final score: 5 is what others would say; mine is 2", "the final score '5 is what' is doubted or rejected"
        ),
        refused("Final score: 3 over 10", "the final score '3 over 10' is out of 10, not of 5"),
        refused("Final score: 3 from 10", "the final score '3 from 10' is out of 10, not of 5"),
        refused("Final score: 4 on a 1-to-10 scale", "the final score '4 on a 1-to-10 scale' is out of 10, not of 5"),
        refused("Final score: 4. (Scale 1 to 10.)", "the final score '4. (Scale 1 to 10.)' is out of 10, not of 5"),
        refused("Final score: 4, where 10 is best", "the final score '4, where 10 is best' is out of 10, not of 5"),
        refused("I use a 10-point scale. Final score: 4", "the final score '4' is out of 10, not of 5"),
        refused("Out of ten, my final score: 4", "the final score '4' is out of 10, not of 5"),
        refused("Semi-final score: 3", "does not say 'Final score:'"),
        refused("Revised score: 3", "does not say 'Final score:'"),
        refused("Final score: 1 + 1 = 3", "the final score '1 + 1 = 3' does not add up"),
        refused("Final score: 3+", "the final score '3+' is a bound or a condition, not a score"),
        refused("Final score: 3 or higher", "the final score '3 or higher' is a bound or a condition, not a score"),
        refused(
            "### Final score\n\n1. Past: 1 point\n2. Dates: 1 point\nTotal: 2 points",
            "the final score '1. Past: 1 point 2.' begins a list",
        ),
        refused(
            "Final score:\n- 1 point for the past\n- 1 point for when and where\n= 2 points",
            "the final score '1 point for' is for one part of the text",
        ),
        refused(
            "Final score:\n\n1 point: past\n1 point: dates\n\n2/5",
            "the final score '1 point:' is for one part of the text",
        ),
        refused(
            "## Final score\n\n1 point for the past and 1 point for the dates: **2/5**",
            "the final score '1 point for the past and 1' is more than one number",
        ),
        refused(
            "Final score: 1 point for the past, 1 point for the dates, so 2 points",
            "the final score '1 point for the past, 1' is more than one number",
        ),
        refused("Final score (5 criteria): 2", "the final score '5 criteria' counts something else"),
        refused(
            "## Final score\n\n5 criteria were checked, of which 2 are met.\n\n**2/5**",
            "the final score '5 criteria' is for one part of the text",
        ),
        refused("Final score: 4 из 10", "the final score '4 из 10' is out of 10, not of 5"),
        refused("Final score: 4 von 10 Punkten", "the final score '4 von 10' is out of 10, not of 5"),
        refused("Final score: 4 sur 10", "the final score '4 sur 10' is out of 10, not of 5"),
        refused("Final score: 4 de 10", "the final score '4 de 10' is out of 10, not of 5"),
        refused("Final score: 4 (von maximal 10)", "the final score '4 (von maximal 10' is out of 10, not of 5"),
        refused("Final score: 4 (Skala 1-10)", "the final score '4 (Skala 1-10' is out of 10, not of 5"),
        refused(
            "Final score: 4 (sur une échelle de 1 à 10)",
            "the final score '4 (sur une échelle de 1 à 10' is out of 10, not of 5",
        ),
        refused("Final score: 4, maximum 10", "the final score '4, maximum 10' is out of 10, not of 5"),
        refused("Final score: 3分\uff08满分10分\uff09", "the final score '3分(满分10' is out of 10, not of 5"),
        refused("Rated from 1 (worst) to 10 (best). Final score: 4", "the final score '4' is out of 10, not of 5"),
        refused(
            "I rate on a scale from 1 to 10, as is usual.\n\nFinal score: 4",
            "the final score '4' is out of 10, not of 5",
        ),
        refused(
            "Final score: 3\n\nWait, I need to recount. It gives no causes, so it earns 2 points.",
            "'Final score: 3' is followed by 'Wait'",
        ),
        refused(
            "Final score: 3\n\nUpon reconsideration, I believe the score should be 2.",
            "'Final score: 3' is followed by 'Upon reconsideration'",
        ),
        refused(
            "Final score: 3\n\nApologies, I miscounted. The correct score is 2.",
            "'Final score: 3' is followed by 'Apologies'",
        ),
        refused(
            "Final score: 3\n\nI am not sure about this; 2 may be better.",
            "'Final score: 3' is followed by 'I am not sure'",
        ),
        refused(
            "Final score: 3\n\nLet me double-check: past 1, dates 1, causes 0. So it is 2.",
            "'Final score: 3' is followed by 'Let me double-check'",
        ),
        refused(
            "Final score: 3\n\nHmm, causes are needed. Let me lower it by one.", "'Final score: 3' is followed by 'Hmm'"
        ),
        refused(
            "Final score: 3\n\nThe final answer is: $\\boxed{2}$.",
            "'Final score: 3' is followed by 'The final answer is: $\\\\boxed{2'",
        ),
        refused("Final score: 3. Strictly speaking it is a 2.", "'Final score: 3' is followed by 'Strictly'"),
        refused("Final score: 3 (borderline 2)", "'Final score: 3' is followed by '(borderline'"),
        refused(
            "Final score: 3 (somewhere between 2 and 3)",
            "the final score '3 (somewhere between 2 and 3' is more than one number",
        ),
        refused(
            "Final score: 3 (1 + 1 + 0 + 0 + 0)",
            "the final score '3 (1 + 1 + 0 + 0 + 0)' is not what the sum beside it gives",
        ),
        refused("Final score: 0-5", "no number after 'Final score:'"),
        refused("Final score: one of the best", "no number after 'Final score:'"),
        refused("Final score: ~3", "no number after 'Final score:'"),
        refused("I would give it a 4.", "does not say 'Final score:'"),
        refused(
            "Final score: 3. No: Final score: 4", "holds several scores with words between them, which may be of parts"
        ),
        refused(
            "I will use a scale of 1 to 10.\n\nThe text is clear.\n\nFinal score: 4",
            "the final score '4' is out of 10, not of 5",
        ),
        refused("Using a 10-point scale:\nFinal score: 4", "the final score '4' is out of 10, not of 5"),
        refused("Final score: 4\n\n(Scale: 0 = worst, 10 = best)", "the final score '4' is out of 10, not of 5"),
        refused("Final score: 4\n\nNote: scores are out of 10.", "the final score '4' is out of 10, not of 5"),
        refused("Final score: 4\nMaximum score: 10", "the final score '4' is out of 10, not of 5"),
        refused("<final_score>4</final_score><max>10</max>", "the final score '4' is out of 10, not of 5"),
        refused('Here is my rating:\n{"final_score": 4, "out_of": 10}', "the final score '4' is out of 10, not of 5"),
        refused('[{"final_score": 4, "out_of": 10}]', "the final score '4' is out of 10, not of 5"),
        refused('{"final_score": 4, "max_points": 10}', "the final score '4 out of 10' is out of 10, not of 5"),
        refused('{"final_score": 4, "points_possible": 10}', "the final score '4 out of 10' is out of 10, not of 5"),
    ),
    HEAD,
)

AROUND = Table(
    "What stands around a score",
    "A score counts where what stands around it is of forms that are known: before it words that state it, behind it "
    "nothing or an explanation, which speaks of the text and not of scores. All else is refused, also where a person "
    "sees what is meant: there are more ways to take a score back than can be listed. A reply that goes on after its "
    "score is often refused and asked for a second try, so let the rubric ask for the score at the end. A reply that "
    "asks for the text holds no score.",
    (
        scores("I would give this text a final score of 3", 3),
        scores("Because the text is not mathematical, the final score is 1.", 1),
        scores("The final score is therefore 3.", 3),
        refused(
            "Final score: 4 - very good explanation of 3 methods",
            "'Final score: 4' is followed by '- very good explanation of 3'",
        ),
        scores("Final score: 3, not bad", 3),
        refused(
            "Final score: 3/5. Half of it is new, 50% of chapter 4, with 2 examples.",
            "'Final score: 3/5' is followed by 'Half'",
        ),
        refused(
            "Final score: 4\n\nThe score of 4 is for its depth; it is not a 5 because of errors.",
            "'Final score: 4' is followed by 'The score'",
        ),
        refused("Final score: 3\n- Depth: 1\n- Style: 2", "'Final score: 3' is followed by '- Depth: 1'"),
        refused(
            "Final score: 3\n\n1. Relevance (1/1)\n2. Depth (0/1)", "'Final score: 3' is followed by 'Relevance (1/1'"
        ),
        scores("An ideal text: Final score: 5. As it stands: Final score: 2", 2),
        refused("If it had sources, Final score: 5.", "holds a score under a condition only"),
        refused("Final score: 3 excellent", "'Final score: 3' is followed by 'excellent'"),
        refused("Final score: 4 oder 5", "'Final score: 4' is followed by 'oder 5'"),
        refused("Final score: 4 (ou 5)", "'Final score: 4' is followed by '(ou 5'"),
        refused("Final score: 3 (tentative)", "'Final score: 3' is followed by '(tentative'"),
        refused("Final score: 3, if generous", "'Final score: 3' is followed by ', if'"),
        refused("Final score: 3\n\nScore: 2", "two scores disagree: 'Final score: 3' and 'Score: 2'"),
        refused("Final score: 3\n\nI award 2 points.", "'Final score: 3' is followed by 'I award'"),
        refused("Final score: 3; however 2 is fairer", "'Final score: 3' is followed by 'however 2 is fairer'"),
        refused(
            "Final score: 4. It would be raised to 5 with exercises.", "'Final score: 4' is followed by 'It would'"
        ),
        refused(
            "Final score: 4. That was generous: 2 fits better.", "'Final score: 4' is followed by 'That was generous'"
        ),
        refused("Final score: 4. That's a joke.", "'Final score: 4' is followed by \"That's a joke\""),
        scores("Based on the criteria above, I give this text a final score of 3.", 3),
        scores("It has no sources, so the final score is 2.", 2),
        scores("The text earns a final score of 3.", 3),
        scores("I'd give it a final score of 4.", 4),
        scores("After careful review, I'm giving this a final score of 3/5.", 3),
        scores("Considering the above, I would assign a final score of 3 to this text.", 3),
        refused("I cannot give a final score of 5.", "holds a score only in a sentence that may not state it"),
        refused(
            "This text fails to earn a final score of 4.", "holds a score only in a sentence that may not state it"
        ),
        refused(
            "The text falls short of a final score of 3.", "holds a score only in a sentence that may not state it"
        ),
        refused("It is too shallow for a final score of 4.", "holds a score only in a sentence that may not state it"),
        refused(
            "The reviewer likes the phone and gives it a final score of 4 out of 5.",
            "holds a score only in a sentence that may not state it",
        ),
        refused(
            "There is no text here. I will answer in this form:\n\nFinal score: 3",
            "holds a score under a condition only",
        ),
        refused("Please paste the text first.\n\nFinal score: 3", "says that there is no text, or asks for it"),
        refused("Example output:\nFinal score: 4", "holds a score under a condition only"),
        refused("For example:\n```\nFinal score: 4\n```", "holds a score under a condition only"),
        refused("e.g. Final score: 3", "holds a score under a condition only"),
        refused("Final score: 3\n\nScore: one", "two scores disagree: 'Final score: 3' and 'Score: one'"),
        refused("Final score: 2. One would be fairer.", "'Final score: 2' is followed by 'One would'"),
        refused("Final score: 4, then -1 for errors", "'Final score: 4' is followed by ', then -1'"),
        refused("Final score: 4. Subtract one for the errors.", "'Final score: 4' is followed by 'Subtract'"),
        refused("Final score: 3\n\nThe above score is wrong.", "'Final score: 3' is followed by 'The above score'"),
        refused(
            "Final score: 3\n\nSorry, the score above is for another text.", "'Final score: 3' is followed by 'Sorry'"
        ),
        refused("Final score: 3 (placeholder)", "'Final score: 3' is followed by '(placeholder'"),
        refused("<s>Final score: 4</s>\nFinal score: 3", "two scores disagree: 'Final score: 4' and 'Final score: 3'"),
        scores("Final score: 3 because it is short.", 3),
        scores("Relevance score: 1\nDepth score: 1\nFinal score: 2", 2),
        scores("Final score: 4 ✅", 4),
        refused(
            "Final score: 4 for effort, though it teaches nothing",
            "'Final score: 4' is followed by 'for effort, though it teaches nothing'",
        ),
        refused(
            "Sum: 1 + 1 + 0 + 0 + 0 = 2\n\nFinal score: 3",
            "two scores disagree: 'Final score: 3' and 'Sum: 1 + 1 + 0 + 0 + 0 = 2'",
        ),
        refused(
            "Adding these up: 1 + 1 + 1 = 3 points.\n\nFinal score: 4",
            "two scores disagree: 'Final score: 4' and 'Adding these up: 1 + 1 + 1 = 3'",
        ),
        refused("The total is 2 points.\n\nFinal score: 3", "two scores disagree: 'Final score: 3' and 'total is 2'"),
        refused(
            "I would rate this text a 2 out of 5.\n\nFinal score: 3",
            "two scores disagree: 'Final score: 3' and 'I would rate this text a 2 out of 5'",
        ),
        refused(
            "Final score: 0 because it meets all five conditions",
            "'Final score: 0' is followed by 'because it meets all five'",
        ),
        refused("Final score: 3 ✅✅❌❌❌", "'Final score: 3' is followed by '✅❌❌❌'"),
        refused("On my scale 0 is best and 5 is worst.\n\nFinal score: 5", "the final score '5' is out of 0, not of 5"),
        refused(
            "1. **Past**: yes.\n   Final score: 1\n2. **Dates**: yes.\n   Final score: 1",
            "holds several scores with words between them, which may be of parts",
        ),
        refused(
            "Style: excellent.\nFinal score: 4\n\nContent: thin.\nFinal score: 4",
            "holds several scores with words between them, which may be of parts",
        ),
        refused("Total: 2 points (max. final score: 5)", "holds a score only in a sentence that may not state it"),
        refused("Final score: \u2212 1", "'Final score: - 1' may have a sign"),
        refused("Final score: 2,000", "the final score 2000 is not a whole number from 0 to 5"),
        scores("Final score: 3. So, final score: 3", 3),
    ),
    HEAD,
)

TURNS = Table(
    "Thinking, and the end of the turn",
    "The answer is what the model says after its thinking and before the end of its turn. This holds for every "
    "processor, also one of your own. A reply that was cut off at `max_tokens` counts where its turn had ended before.",
    (
        scores("<think>Perhaps Final score: 5? No.</think>\n\nFinal score: 2", 2),
        scores("Perhaps Final score: 5? No.</think>Final score: 2", 2),
        scores("[THINK]Final score: 5?[/THINK]Final score: 2", 2),
        scores(
            "<|channel|>analysis<|message|>Final score: 5?<|end|><|start|>assistant<|channel|>final<|message|>"
            "Final score: 2<|return|>",
            2,
        ),
        scores("<|START_THINKING|>Final score: 5?<|END_THINKING|><|START_RESPONSE|>Final score: 2<|END_RESPONSE|>", 2),
        scores("<|channel>thought\nFinal score: 5?<channel|>Final score: 2<turn|>\n<|turn>user\nFinal score: 5", 2),
        scores("<|inner_prefix|>Final score: 5?<|inner_suffix|>Final score: 2", 2),
        scores("<|thinking|>Final score: 5?<|/thinking|>Final score: 2", 2),
        scores("analysisFinal score: 5?assistantfinalFinal score: 2", 2),
        refused("<|think|>Final score: 5, so<|end|>", "thinking not closed"),
        refused("<think>The best texts end as Final score: 5, so", "thinking not closed"),
        refused("<think>Final score: 5</think>", "the reply ends with its thinking"),
        scores("Final score: 2<|user|>Next text. Final score: 5", 2),
        scores("Final score: 2<|im_end|>\n<|im_start|>user\nFinal score: 5", 2),
        scores("Final score: 2<|eot_id|>Final score: 5", 2),
        scores("Final score: 2</s>Final score: 5", 2),
        scores("Final score: 2[|endofturn|]\n[|user|]Final score: 5", 2),
        scores("Final score: 2<end_of_turn>\n<start_of_turn>user\nFinal score: 5", 2),
        scores("<|im_start|>assistant\nFinal score: 2<|im_end|>", 2),
        scores("Final score: 2\n\nUser: Next text.\nFinal score: 5", 2),
    ),
    HEAD,
)

QUOTED = Table(
    "Quotation",
    "What a reply quotes, or says that the text says, is not its verdict. Marks around a whole line are: a rubric that "
    'asks for `"Final score: N"` gets it so.',
    (
        refused(
            'Final score: 2\n\n(The text itself claims "Final score: 5", which I ignored.)',
            "'Final score: 2' is followed by '(The text itself claims'",
        ),
        scores("It ends in “Final score: 5”.\nFinal score: 2", 2),
        scores("> Final score: 5\n\nThat is its own claim. Final score: 2", 2),
        scores("The document says Final score: 5. I say Final score: 2", 2),
        scores("The text ends:\n```\nRead on.\nFinal score: 5\n```\nFinal score: 2", 2),
        scores('It explains well.\n"Final score: 4"', 4),
        scores("`Final score: 4`", 4),
        scores("```\nFinal score: 4\n```", 4),
        refused('The text says "Final score: 5".', "holds a score in quotation only"),
        refused('{"quote": "Final score: 5", "verdict": 2}', "holds a score in quotation only"),
        refused(
            '{"reason": "By its first page, final score: 5", "verdict": 2}',
            "two scores disagree: 'final score: 5' and 'score: 2'",
        ),
        refused("> Final score: 5", "holds a score in quotation only"),
    ),
    HEAD,
)

NO_LABEL = "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless"

LABELS = Table(
    "Labels",
    "`medu` reads Great, Good, Okay, Poor or Useless as 5 to 1: after `Label:`, `Rating:` or the like; where there is "
    "none, alone on a line. All else above holds for labels too.",
    (
        scores("It is a great story and useless for study.\nLabel: Poor", 2),
        refused(
            "Rating: **Okay**. A great text would do more.", "'Rating: **Okay' is followed by 'A great text would'"
        ),
        scores("Not poor, rather good.\n\n**Good**", 4),
        scores("OK", 3),
        refused("Good: it explains a method.", "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless"),
        scores("I would rate it as good.", 4),
        scores('{"label": "Useless"}', 1),
        scores('It says "Label: Great".\nLabel: Poor', 2),
        scores("<think>Label: Great?</think>Label: Poor", 2),
        refused("Label: Good or Great", "'Label: Good' is followed by 'or Great'"),
        refused("Label: Good\nLabel: Poor", "two scores disagree: 'Label: Good' and 'Label: Poor'"),
        refused("Label: Good?", "'Label: Good' is followed by '?'"),
        refused("Label: Good is too kind; Poor", "'Label: Good' is followed by 'is too kind;'"),
        refused("Label: Good. No, Poor", "'Label: Good' is followed by 'No, Poor'"),
        refused("Label: Good (edit: Poor)", "'Label: Good' is followed by '(edit'"),
        refused(
            "Label: Useless for study, Great for fun", "'Label: Useless' is followed by 'for study, Great for fun'"
        ),
        refused("Label: Great (3/5)", "'Label: Great' is followed by '(3/5'"),
        refused("Label: Good (8/10)", "'Label: Good' is followed by '(8/10'"),
        refused("Label: Good, but Poor in parts", "'Label: Good' is followed by ', but Poor'"),
        refused("Label: Good, though poor at the end", "'Label: Good' is followed by ', though poor'"),
        refused("Label: Good in parts, Poor in others", "'Label: Good' is followed by 'in parts, Poor in others'"),
        refused("Label: Good 3/5", "'Label: Good' is followed by '3/5'"),
        refused("Label: Good\nScore: 2/5", "two scores disagree: 'Label: Good' and 'Score: 2/5'"),
        refused("Rating: 2\n\n**Good**", "two scores disagree: '**Good' and 'Rating: 2'"),
        refused("Label: Good\nScore: 8/10", "the score '8/10' is out of 10, not of 5"),
        refused('{"label": "Good", "score": 2}', "two scores disagree: 'Good' and 'score: 2'"),
        refused("Rating: Good; clarity: Poor", "'Rating: Good' is followed by 'clarity: Poor'"),
        refused("Label: Good (depth: okay)", "'Label: Good' is followed by '(depth: okay'"),
        refused("Label: Good\nHowever, I would say Poor", "'Label: Good' is followed by 'However, I would'"),
        refused("Score: 4/5", NO_LABEL),
        scores("Label: Good\nScore: 4/5", 4),
        scores('{"label": "Good", "score": 4}', 4),
        scores("Label: Good; clarity: good", 4),
        refused("Label: Good; reason: poor texts have no sources", "'Label: Good' is followed by 'reason: poor'"),
        refused("Label: Good, 3 stars", "'Label: Good' is followed by ', 3 stars'"),
        refused("Label: Good+", "'Label: Good' is followed by '+'"),
        refused("I would rate it as good, not great.", NO_LABEL),
        scores("Label: Great (5/5)", 5),
        scores("Label: Good - 4/5", 4),
        refused("Label: Good (2 typos)", "'Label: Good' is followed by '(2'"),
        refused("Label: Good, rather than Great", "'Label: Good' is followed by ', rather'"),
        refused("Label: Good, as it is not Great", "'Label: Good' is followed by ', as it is not Great'"),
        refused(
            "Label: Good, as it explains the Great War", "'Label: Good' is followed by ', as it explains the Great'"
        ),
        refused("Not great, not useless either", NO_LABEL),
        refused("Great Britain in the war", NO_LABEL),
        refused("Excellent", NO_LABEL),
        refused(
            "Okay.\n\nThe text teaches nothing.", "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless"
        ),
        refused(
            "Great.\n\nPlease give me the text.", "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless"
        ),
        refused(
            "Good:\n- explains\n\nBad:\n- rest", "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless"
        ),
        refused(
            "Label: Okay, so this text is about sets. It is useless.", "'Label: Okay' is followed by 'It is useless'"
        ),
        scores("Okay.\n\nThe text teaches nothing.\n\nPoor", 2),
        refused("Great\n\nThe text teaches nothing.", NO_LABEL),
        refused("Okay: it teaches nothing.", NO_LABEL),
        refused(
            "Great\n\nReason: it teaches a method.",
            "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless",
        ),
        refused(
            "**Great**\n\nIt teaches a method.", "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless"
        ),
        refused("Label: Good enough", "'Label: Good' is followed by 'enough'"),
        refused("Label: Great Britain", "'Label: Great' is followed by 'Britain'"),
        refused("Label: Good if generous", "'Label: Good' is followed by 'if generous'"),
        refused("Label: Good\n\nPoor", "'Label: Good' is followed by 'Poor'"),
        scores("Label: [Great/Good/Okay/Poor/Useless]\n\nLabel: Okay", 3),
        scores("I'd label it as good.", 4),
        scores("Based on this, the label is Okay.", 3),
        refused("Label: Good. The style is poor in places.", "'Label: Good' is followed by 'The style is poor'"),
        refused("I cannot rate it as great.", "holds a score only in a sentence that may not state it"),
        refused(
            "I would rate it as less than good.", "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless"
        ),
        refused(
            "I would rate it as anything but great.",
            "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless",
        ),
        refused("Label: Good\n\nOn reflection, I'd lower it to okay.", "'Label: Good' is followed by 'On reflection'"),
        refused("Label: Good\n\nWait, it has no sources. So it is only okay.", "'Label: Good' is followed by 'Wait'"),
        refused(
            "## Good\n\n- explains a method\n\n## Needs work\n\n- no sources",
            "no line and no 'Label:' with one of Great, Good, Okay, Poor, Useless",
        ),
        refused(
            "Hotel rating: Good. The text describes a hotel in Rome.",
            "holds a score only in a sentence that may not state it",
        ),
        refused(
            "The reviewer's verdict: good. It is a text.", "holds a score only in a sentence that may not state it"
        ),
        refused("Its answer is poor.", "holds a score only in a sentence that may not state it"),
        refused("For example:\nLabel: Good", "holds a score under a condition only"),
        refused("Label: Okay, but it's poor.", "'Label: Okay' is followed by \", but it's poor\""),
        refused(
            "Label: Great as long as you skip the maths",
            "'Label: Great' is followed by 'as long as you skip the maths'",
        ),
        refused("Label: Good for nothing", "'Label: Good' is followed by 'for nothing'"),
        refused("Good\n\nPoor", "two scores disagree: 'Poor' and 'Good'"),
        refused('{"label": "good", "math_label": "useless"}', "two scores disagree: 'good' and 'useless'"),
    ),
    ("reply", "score"),
)


def choice(content: Any, end: Any = "stop", **message: Any) -> dict[str, Any]:
    """A choice of a chat completion."""
    return {"message": {"role": "assistant", "content": content, **message}, "finish_reason": end}


Message = tuple[Ended, str, str]  # how it ended, what it holds, what was odd about it


def message(given: Mapping[str, Any], ended: Ended, text: str, said: str, shown: str) -> Example[Message]:
    return Example(json.dumps(given, ensure_ascii=False), (ended, text, said), shown)


THOUGHT = "<think>\nFinal score: 3\n</think>\n\n"
MESSAGES = Table(
    "Where the words are in a server's answer",
    "The answer is `content`, a text or a list of parts. Thinking in a part or a field of its own is kept in `<think>` "
    "marks in front of it, and is not read as the answer. Whatever was written stands in `raw`.",
    (
        message(choice("Final score: 3"), Ended.COMPLETE, "Final score: 3", "", "read"),
        message(
            choice(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Final score: 3"}]},
                    {"type": "text", "text": "Final score: 2"},
                ]
            ),
            Ended.COMPLETE,
            f"{THOUGHT}Final score: 2",
            "",
            "read: 2",
        ),
        message(
            choice([{"type": "text", "text": {"value": "Final score: 3", "annotations": []}}]),
            Ended.COMPLETE,
            "Final score: 3",
            "",
            "read",
        ),
        message(
            choice("Final score: 2", reasoning="Final score: 3"),
            Ended.COMPLETE,
            f"{THOUGHT}Final score: 2",
            "",
            "read: 2",
        ),
        message(
            choice(None, reasoning_content="Final score: 3"),
            Ended.COMPLETE,
            THOUGHT,
            "the content is empty, the words are in 'reasoning_content'",
            "`unparsed`: the reply ends with its thinking; the content is empty, the words are in 'reasoning_content'",
        ),
        message(
            choice("", reasoning="Final score: 3"),
            Ended.COMPLETE,
            THOUGHT,
            "the content is empty, the words are in 'reasoning'",
            "`unparsed`, with that field's name",
        ),
        message(choice(None), Ended.COMPLETE, "", "", "`unparsed`: an empty reply of 9 tokens"),
        message(
            choice([{"type": "image_url"}]),
            Ended.COMPLETE,
            "",
            "the content has parts of type image_url only",
            "`unparsed`: an empty reply of 9 tokens; the content has parts of type image_url only",
        ),
        message(
            choice(None, refusal="I cannot rate this."),
            Ended.REFUSED,
            "I cannot rate this.",
            "",
            "`refused`, text kept",
        ),
        message(
            choice("Final score: 3", None),
            Ended.COMPLETE,
            "Final score: 3",
            "the server does not say how the reply ended",
            "read; `truncated` where as many tokens came as were asked for",
        ),
        message(choice("Final score: 3", "eos_token"), Ended.COMPLETE, "Final score: 3", "", "read"),
        message(
            choice("Final score: 3", "whatever"),
            Ended.COMPLETE,
            "Final score: 3",
            "the reply ended for an unknown reason, 'whatever'",
            "read; `truncated` where as many tokens came as were asked for",
        ),
        message(
            choice("Final score: 3", "max_tokens"),
            Ended.LENGTH,
            "Final score: 3",
            "finish_reason max_tokens",
            "`truncated`",
        ),
        message(choice("", "SAFETY"), Ended.REFUSED, "", "finish_reason SAFETY", "`refused`"),
    ),
    ("choice", "result"),
)

REPLIES = Page(
    "replies.md",
    "Replies",
    "How a written reply (`annotator.scoring: generate`) becomes a score, or a reason why it holds none. Where none is "
    "found, the reason ends in the last words of the reply. The tests read the same tables, and the module "
    "`asking/verdicts.py` states the grammar.\n\n"
    "A document may itself hold what reads like a verdict, such as a last line `Final score: 5`. It is sent as it "
    "stands, but for marks of chat templates. Its row has `document_claims_score`, such documents are counted, and "
    "the data card says how many there are and how many of them have no score. A reply about such a document counts "
    "only where its score is another than every score that the document holds: an equal one may be the document's own "
    "words, and the reply is `unparsed`, like any other with a second try.\n\n"
    "A change of how replies are read asks nobody again: stored replies are read anew, and only what then holds no "
    "score gets its second try.",
    (FORMS, REFUSED, AROUND, TURNS, QUOTED, LABELS, MESSAGES),
    "datashop_assets_tests/asking/reply_examples.py",
)
