"""Whether a run could work on this machine: environment, storage, prompts, Dagster's state, annotator, accelerator.

Each examination stands alone: one that fails says so and the others go on, also where packages are missing, so what
needs Dagster is imported inside. Nothing is changed but a probe file under the root, which is removed again. Endpoints
are asked one short question for each way in which prompts ask a model; no other annotator is asked anything.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from datashop_assets.asking.spending import NO_LIMITS, Spending
from datashop_assets.data_packages import data_file, data_folder
from datashop_assets.machine import cores
from datashop_assets.orchestration.home import SETTINGS, SHIPPED, home_folder
from datashop_assets.processes.child import run_child
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.protocols.annotator import Question, Reading
from datashop_assets.settings import PROFILE, RAY, Settings
from datashop_assets.shipped import shipped
from datashop_assets.storage.root import default_root
from resources.annotator.names import EMBEDDED

if TYPE_CHECKING:
    from resources.annotator.ray_serve import RayServeVLLM
    from resources.annotator.resource import AnnotatorEndpoints

PYTHONS = ((3, 11), (3, 13))  # as requires-python has them
PACKAGES = ("dagster", "jax", "flax", "polars", "tokenizers", "fasttext", "gguf")
WEIGHTS = EMBEDDED[0]
NEEDED_GB = 2.0  # GB: the demo writes 20 MB, a small model's checkpoints some hundreds
ANSWER_SECONDS = 60.0  # for an endpoint to answer one short question
BRIEF, BRIEF_CHARACTERS = "Say in a few words what this text is about: {example}", 200  # in place of a rubric
ENDPOINTS_FIX = "start them, or correct DATASHOP_ANNOTATOR_URLS, the key, or annotator.model in the prompt file"
# jax is asked in a process of its own: an accelerator is held by the process that looks at it
DEVICES = "import json, jax; print(json.dumps([[d.platform, d.device_kind] for d in jax.devices()]))"
DEVICES_SECONDS = 90  # a TPU that another process holds makes jax wait


@dataclass(frozen=True)
class Finding:
    """What one examination says. `fix` is empty where nothing is to be done; a run would fail where it is `bad`."""

    name: str
    state: Literal["good", "note", "bad"]
    message: str
    fix: str = ""


def python(_: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Finding("Python", "good", version)
    return Finding("Python", "bad", version, "install Python 3.11, 3.12 or 3.13 and make the environment anew")


def packages(_: Settings) -> Finding:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        message = f"cannot be imported: {', '.join(missing)}"
        return Finding("packages", "bad", message, "run `make env`, or pip install again")
    return Finding("packages", "good", f"{len(PACKAGES)} of {len(PACKAGES)} that a run needs")


def data_packages(settings: Settings) -> Finding:
    folder = data_folder(settings)
    try:
        data_file(WEIGHTS, folder)
    except FileNotFoundError:
        message = f"none in {folder}: the embedded pool and annotator cannot be used"
        fix = "run `datashop data` (in a checkout `make env`), or name your own pool and annotator in the prompt"
        return Finding("data packages", "note", message, fix)
    return Finding("data packages", "good", str(folder))


def storage(settings: Settings) -> Finding:
    """Writes, reads and removes a probe under the root."""
    root = default_root(settings)
    probe = root.folder.child("cache", f"probe-{uuid.uuid4().hex}")
    try:
        probe.write("probe", b"probe")
        read = probe.read("probe")
        probe.remove()
    except Exception as error:  # noqa: BLE001 - whatever a file system raises is what the person must know
        fix = "name a folder or bucket you can write to in DATASHOP_ROOT"
        return Finding("storage", "bad", f"{root.uri}: {error}", fix)
    if read != b"probe":
        return Finding("storage", "bad", f"{root.uri} gives back other bytes", "name another place in DATASHOP_ROOT")
    return Finding("storage", "good", f"{root.uri} can be written, read and cleared")


def disk(settings: Settings) -> Finding:
    place = default_root(settings).cache
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if free < NEEDED_GB:
        fix = "free some space, or name another DATASHOP_ROOT"
        return Finding("disk", "bad", f"{free:.1f} GB free at {place}", fix)
    return Finding("disk", "good", f"{free:.0f} GB free at {place}")


def prompts(settings: Settings) -> Finding:
    folder = default_prompts(settings)
    if not folder.is_dir():
        fix = "`datashop new-prompt` makes it; if prompts are elsewhere, name their folder in DATASHOP_PROMPTS"
        return Finding("prompts", "note", f"{folder} is not made yet", fix)
    store = PromptStore(folder, default_root(settings))
    if bad := store.problems():
        fix = "`datashop prompts check` says what is wrong with each"
        return Finding("prompts", "note", f"cannot be used: {', '.join(bad)}", fix)
    return Finding("prompts", "good", f"{len(store.slugs())} in {folder}")


def dagster_state(settings: Settings) -> Finding:
    home = home_folder(settings)
    file = home / SETTINGS
    if not file.exists():
        return Finding("Dagster", "note", f"{home} is not made yet", "nothing to do: the first run makes it")
    if file.read_bytes() != shipped(SHIPPED).read_bytes():
        fix = "nothing, if you changed it; else remove it, and the next run makes it"
        return Finding("Dagster", "note", f"{file} is not the one that comes with Datashop", fix)
    return Finding("Dagster", "good", str(home))


def profile(settings: Settings) -> Finding:
    """Whether a run could begin: a profile that does not fit the other variables is refused before anything else."""
    from datashop_assets.orchestration import profiles

    try:
        chosen = profiles.profile(settings)
    except ValueError as error:
        return Finding("profile", "bad", str(error), f"set the variable right, or unset {PROFILE} for `local`")
    if settings.ray_address and importlib.util.find_spec("ray") is None:
        message = f"{chosen.name}; {RAY} is set and ray cannot be imported"
        return Finding("profile", "bad", message, "install the extra `ray`")
    return Finding("profile", "good", chosen.name)


def annotator(settings: Settings) -> Finding:
    """Whether the embedded one has its weights, a server its Python, and whether endpoints answer."""
    from datashop_assets.orchestration import profiles
    from resources.annotator.ray_serve import RayServeVLLM
    from resources.annotator.resource import AnnotatorEndpoints
    from resources.annotator.vllm.server import VLLMServer

    try:
        resource = profiles.annotator(settings)
    except ValueError as error:
        return Finding("annotator", "bad", str(error), "correct the variable, or remove it for the embedded annotator")
    match resource:
        case VLLMServer():
            return _server(Path(resource.python))
        case AnnotatorEndpoints():
            return _endpoints(resource, PromptStore(default_prompts(settings), default_root(settings)))
        case RayServeVLLM():
            return _ray_serve(resource)
        case _:
            return _embedded(data_folder(settings))


def _embedded(data: Path) -> Finding:
    try:
        return Finding("annotator", "good", f"embedded, {data_file(WEIGHTS, data).name}")
    except FileNotFoundError:
        message = f"embedded, and {WEIGHTS} is not in {data}"
        return Finding("annotator", "bad", message, "as for the data packages, or set DATASHOP_ANNOTATOR")


def _server(python: Path) -> Finding:
    if python.exists():
        return Finding("annotator", "good", f"server: {python}")
    fix = "run `make vllm`, or name the Python of vLLM's environment in DATASHOP_VLLM_PYTHON"
    return Finding("annotator", "bad", f"no vLLM at {python}", fix)


def _ray_serve(resource: "RayServeVLLM") -> Finding:
    try:
        applications = resource.applications()
    except ValueError as error:
        return Finding("annotator", "bad", str(error), "start the cluster, or correct DATASHOP_SERVE_DASHBOARD")
    deployed = applications.get(resource.application)
    state = "will be deployed with the first question" if deployed is None else str(deployed["status"])
    return Finding("annotator", "good", f"ray-serve: {resource.application} at {resource.dashboard}, {state}")


def _endpoints(resource: "AnnotatorEndpoints", store: PromptStore) -> Finding:
    """An address that cannot be asked is no fault while another can, and one question may suit where another does not.

    What is asked, and how, is what a run does with its first document.
    """
    questions = _questions(resource, store)
    silent: dict[str, list[str]] = {}  # address and reason -> prompts
    asked = failed = tokens = 0
    for question, slugs in questions.items():
        try:
            spending = Spending(NO_LIMITS, question) if question else None
            whys = resource.examine(question, ANSWER_SECONDS, spending)
        except ValueError as error:
            return Finding("annotator", "bad", str(error), ENDPOINTS_FIX)
        tokens += spending.tokens if spending else 0
        for url, why in whys.items():
            asked += 1
            if why:
                failed += 1
                silent.setdefault(f"{url}: {why}", []).extend(slugs)
    spent = f"; asking took {tokens:,} tokens, in no prompt's budget" if tokens else ""
    if silent:
        message = "; ".join(f"{why} (prompts {', '.join(slugs)})" if slugs else why for why, slugs in silent.items())
        return Finding("annotator", "bad" if failed == asked else "note", message + spent, ENDPOINTS_FIX)
    models = ", ".join(dict.fromkeys(question.model for question in questions if question))
    answered = f"; asked and answered: {models}" if models else ""
    return Finding("annotator", "good", f"endpoints: {', '.join(resource.addresses)}{answered}{spent}")


def _questions(resource: "AnnotatorEndpoints", store: PromptStore) -> dict[Question | None, list[str]]:
    """What the prompts that can be used ask annotators, each question with its prompts; None where there are none.

    A short question stands in the place of the rubric.
    """
    asked: dict[Question | None, list[str]] = {}
    for slug, prompt in store.prompts().items():
        question = prompt.annotator.question_config.resolve(BRIEF, resource)
        brief = replace(question, reading=Reading(BRIEF_CHARACTERS))
        asked.setdefault(brief, []).append(slug)
    return asked or {None: []}


def accelerator(settings: Settings) -> Finding:
    """None is a note, but for the profile `gpu`, which is for machines that have one."""
    command = [sys.executable, "-c", DEVICES]
    try:
        done = run_child(command, timeout=DEVICES_SECONDS)
    except subprocess.TimeoutExpired:
        fix = "end the process that holds the accelerator, or set JAX_PLATFORMS=cpu"
        return Finding("accelerator", "bad", f"jax did not answer within {DEVICES_SECONDS} s", fix)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["jax ended without a word"])[-1]
        return Finding("accelerator", "bad", why, "set JAX_PLATFORMS=cpu, or install the extra for your accelerator")
    kinds = [f"{platform} ({kind})" for platform, kind in json.loads(done.stdout.splitlines()[-1])]
    if not all(kind.startswith("cpu") for kind in kinds):
        return Finding("accelerator", "good", f"{len(kinds)}: {', '.join(dict.fromkeys(kinds))}")
    message = f"none; {cores()} processor cores"
    if settings.profile == "gpu":
        return Finding("accelerator", "bad", message, f"install the extra `gpu`, or unset {PROFILE}")
    return Finding("accelerator", "note", message, "nothing, if there is none; else install the extra `gpu` or `tpu`")


EXAMINATIONS: Mapping[str, Callable[[Settings], Finding]] = {
    "Python": python,
    "packages": packages,
    "data packages": data_packages,
    "storage": storage,
    "disk": disk,
    "prompts": prompts,
    "Dagster": dagster_state,
    "profile": profile,
    "annotator": annotator,
    "accelerator": accelerator,
}


def examine(
    read: Callable[[], Settings], examinations: Mapping[str, Callable[[Settings], Finding]] = EXAMINATIONS
) -> list[Finding]:
    """One finding for each, in their order. Raises nothing: an examination that breaks is itself a finding.

    `read` gives the settings; where it raises `ValueError`, that is the one finding.
    """
    try:
        settings = read()
    except ValueError as error:
        return [Finding("settings", "bad", str(error), "set the variable right, or unset it; then look again")]
    findings = []
    for name, one in examinations.items():
        try:
            findings.append(one(settings))
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is wrong
            findings.append(Finding(name, "bad", f"{type(error).__name__}: {error}", "see the message"))
    return findings
