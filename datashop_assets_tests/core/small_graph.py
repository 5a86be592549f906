"""A graph of three small steps with one gate, declared as the product's own are: numbers, their sum, a report."""

from collections.abc import Iterable
from typing import Any, ClassVar

from datashop_assets.core.plan import Graph, Plan, make_plan
from datashop_assets.core.step import Check, CheckContext, CheckResult, Input, StepConfig, StepResult, StepRun, step
from datashop_assets.markdown import Sample
from datashop_assets.prompts.prompt import Prompt, parse_prompt
from datashop_assets.storage.root import Root

LIKELIHOOD = {"question": "{example} What is it about?", "answer_begins": "It is about", "targets": ["mathematics"]}


class NumbersConfig(StepConfig):
    documents: int


class NumbersResult(StepResult):
    step: ClassVar[str] = "numbers"
    count: int
    failed_calls: int = 0


class TotalConfig(StepConfig):
    pass


class TotalResult(StepResult):
    step: ClassVar[str] = "total"
    total: int


class ReportResult(StepResult):
    step: ClassVar[str] = "report"
    text: str


def _enough(context: CheckContext[NumbersResult]) -> CheckResult:
    wanted = context.prompt.annotator.gates.ends
    count = context.output.result.count
    return CheckResult(
        passed=count >= wanted,
        blocks=True,
        severity="error",
        description=f"{count} of {wanted} numbers",
        sample=Sample(columns=("number",), rows=((str(count - 1),),)),
    )


@step(
    result=NumbersResult,
    configure=lambda prompt: NumbersConfig(documents=prompt.annotator.documents),
    version="1",
    group="one",
    checks=(
        Check("coverage", "As many numbers as the prompt asks for.", _enough, True, lambda p: p.annotator.gates.ends),
    ),
)
def numbers(run: StepRun[NumbersConfig]) -> NumbersResult:
    """The numbers from zero."""
    run.output.write_rows("numbers.jsonl.zst", ({"n": n} for n in range(run.config.documents)))
    return NumbersResult(count=run.config.documents)


@step(
    result=TotalResult,
    inputs=(NumbersResult,),
    configure=lambda _: TotalConfig(),
    version="1",
    group="two",
)
def total(run: StepRun[TotalConfig]) -> TotalResult:
    """Their sum."""
    found = sum(row["n"] for row in run.input(NumbersResult).all_rows())
    run.output.put_bytes("total.txt", str(found).encode())
    return TotalResult(total=found)


@step(
    result=ReportResult,
    inputs=(TotalResult, Input(NumbersResult, lambda prompt: prompt.labels.balance)),
    configure=lambda prompt: TotalConfig() if prompt.training.matched_control else None,
    version="1",
    group="two",
)
def report(run: StepRun[TotalConfig]) -> ReportResult:
    """The sum in words; how many numbers there were, where the prompt wants it."""
    counted = run.optional_input(NumbersResult)
    beside = "" if counted is None else f" of {counted.result.count}"
    return ReportResult(text=f"{run.input(TotalResult).result.total}{beside}")


GRAPH = Graph((numbers, total, report))


def prompt(**sections: Any) -> Prompt:
    """`annotator.documents` is how many numbers are made, `annotator.gates.ends` how many there must be."""
    annotator = {"likelihood": LIKELIHOOD, "second_round": {"documents": 0}, **sections.pop("annotator", {})}
    fields = {"name": "Small", "rubric": "Score {example}", "annotator": annotator, **sections}
    return parse_prompt(fields, "small", "small.yaml")


def plan(root: Root, **sections: Any) -> Plan:
    return make_plan(GRAPH, prompt(**sections), root)


def states(plan: Plan, names: Iterable[str] = ("numbers", "total", "report")) -> list[str]:
    return [plan[name].state.value for name in names if name in plan]
