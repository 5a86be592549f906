"""What the checks of a step said, kept where every later run finds it.

A check's verdict depends on the output's content, on the step's code version and on the part of the prompt that the
check names. It is stored under the prompt (`prompts/<slug>/checks/<step>`) with a digest of all these. So a gate that
failed goes on blocking what is downstream, in every entry point, until the output or the thresholds are others, or the
prompt waives it. A waiver is no part of the verdict: it changes no digest, and nothing is judged again for it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from datashop_assets.core.step import CheckContext, CheckResult, Step, StepOutput
from datashop_assets.markdown import joined
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.root import Root

CHECKS = "checks"


class CheckRecord(BaseModel):
    """The verdicts on one output. `key` covers the output and the settings, `read` the other outputs that were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str
    read: dict[str, str]  # step -> content digest
    results: dict[str, CheckResult]


def check_output(
    step: Step[Any, Any],
    output: StepOutput[Any],
    prompt: Prompt,
    root: Root,
    others: Mapping[str, StepOutput[Any]],
) -> dict[str, CheckResult]:
    """What every check of the step says of its output, by name. What was said of the same before is not computed again.

    `others` are finished outputs of the prompt: those that a check names in `reads` are shown to it.
    """
    if not step.checks:
        return {}
    shown = {name: others[name] for check in step.checks for name in check.reads_of(prompt) if name in others}
    read = {name: one.manifest.content_digest for name, one in shown.items()}
    key = record_key(step, prompt, output.manifest.content_digest)
    record = _record(root, prompt.slug, step.name)
    if record is not None and (record.key, record.read) == (key, read):
        return _waived(record.results, prompt)
    context = CheckContext(prompt, output, shown)
    results = {check.name: check.evaluate(context) for check in step.checks}
    keep_results(step, prompt, root, CheckRecord(key=key, read=read, results=results))
    return _waived(results, prompt)


def keep_results(step: Step[Any, Any], prompt: Prompt, root: Root, record: CheckRecord) -> None:
    """Keeps verdicts where every later run finds them."""
    root.prompt(prompt.slug).child(CHECKS).write(step.name, record.model_dump_json().encode())


def stored_results(
    step: Step[Any, Any], prompt: Prompt, root: Root, content_digest: str
) -> dict[str, CheckResult] | None:
    """What the step's checks said of this content under these settings; None where they were not evaluated."""
    if not step.checks:
        return {}
    record = _record(root, prompt.slug, step.name)
    if record is None or record.key != record_key(step, prompt, content_digest):
        return None
    return _waived(record.results, prompt)


def stopping(results: Mapping[str, CheckResult]) -> list[str]:
    """Of these verdicts those that stop what is downstream, in words."""
    return [f"{name}: {one.description}" for name, one in results.items() if one.stops]


def rows_that_failed(results: Mapping[str, CheckResult]) -> list[str]:
    """Lines for a terminal: rows that made gates fail which stop what is downstream, each once."""
    samples = joined(one.sample for one in results.values() if one.stops and one.sample)
    return [line for sample in samples for line in sample.lines()]


def _waived(results: Mapping[str, CheckResult], prompt: Prompt) -> dict[str, CheckResult]:
    reasons = prompt.gates.waive
    return {
        name: one.model_copy(update={"waived": reasons[name]}) if name in reasons and not one.passed else one
        for name, one in results.items()
    }


def record_key(step: Step[Any, Any], prompt: Prompt, content_digest: str) -> str:
    """The key of verdicts on this content by the settings of now."""
    return digest_of(
        {
            "step": [step.name, step.version],
            "content": content_digest,
            "settings": {check.name: check.settings(prompt) for check in step.checks},
        }
    )


def _record(root: Root, slug: str, name: str) -> CheckRecord | None:
    """None where there is none, and where it cannot be read: the checks are then evaluated again."""
    try:
        return CheckRecord.model_validate_json(root.prompt(slug).child(CHECKS).read(name))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValidationError):
        return None
