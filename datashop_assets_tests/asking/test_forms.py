"""Every form of the grammar reads the example that stands beside it."""

import re

import pytest

from datashop_assets.asking import clauses, final_scores, labels, leads, number_forms
from datashop_assets.asking.forms import Form

TABLES = {
    **{name: getattr(number_forms, name) for name in (
        "PERCENT", "FRACTION", "OTHER_UNIT", "SCALE", "SEVERAL", "BOUND", "DOUBTED", "WITHOUT_RESULT", "COUNTED",
        "ITEMS", "LIST")},
    **{f"{name} of a final score": getattr(final_scores, name) for name in (
        "MENTION", "SCALE", "NOTE", "STATED_SCALE")},
    **{f"{name} of a label": getattr(labels, name) for name in ("LABEL", "ACKNOWLEDGED")},
    **{f"{name} behind a verdict": getattr(clauses, name) for name in ("CLAUSE", "NO_EXPLANATION")},
    **{f"{name} before a verdict": getattr(leads, name) for name in ("CONDITION", "EXAMPLE_LINE", "NO_TEXT")},
    "ANNOUNCING": (leads.ANNOUNCING,),
}  # fmt: skip
FORMS = {f"{table}:{form.example}": form for table, forms in TABLES.items() for form in forms}
BEFORE = {"final_score>": "<", ". Past\n2.": "1"}  # what must stand before an example


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form_reads_its_example_whole(form: Form) -> None:
    before = BEFORE.get(form.example, "")
    pattern = re.compile(form.pattern, re.IGNORECASE | re.MULTILINE)
    found = pattern.match(before + form.example + form.then, len(before))
    assert found is not None
    assert found[0] == form.example
