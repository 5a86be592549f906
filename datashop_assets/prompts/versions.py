"""What a prompt said when a run was started for it: a run is pinned to that, whatever the file says later.

prompts/<slug>/versions/<digest>.json   the prompt, as it was read
prompts/<slug>/runs/<run>               which version the run is pinned to, and the digests that it set out to make
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from datashop_assets.prompts.parsing import Problem, PromptError, validation_problems
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import Root

VERSIONS, RUNS = "versions", "runs"


class Pin(BaseModel):
    """What a run is pinned to."""

    model_config = ConfigDict(frozen=True)
    version: str
    steps: dict[str, str]  # step -> plan digest


def version_of(prompt: Prompt) -> str:
    """The digest of what a prompt says, not of how its file is written."""
    return digest_of(prompt.model_dump(mode="json", exclude=None if prompt.gates.waive else {"gates"}))


def data_version_of(prompt: Prompt) -> str:
    """The same without what it waives, on which no output depends: a waiver makes nothing stale, in Dagster neither."""
    return digest_of(prompt.model_dump(mode="json", exclude={"gates"}))


@dataclass(frozen=True)
class PromptVersions:
    """The versions of one prompt that runs were started for."""

    root: Root
    slug: str

    def keep(self, prompt: Prompt) -> str:
        """Stores this version, and gives its digest."""
        version = version_of(prompt)
        self._folder(VERSIONS).create(f"{version}.json", prompt.model_dump_json(indent=1).encode())
        return version

    def load(self, version: str) -> Prompt:
        """Raises `PromptError` where the version is not there or cannot be read."""
        place, name = self._folder(VERSIONS), f"{version}.json"
        file, fix = f"{place.uri}/{name}", "start the run again, for the prompt as it is now"
        try:
            prompt = Prompt.model_validate_json(place.read(name))
        except FileNotFoundError:
            raise PromptError(file, [Problem("", version, f"this version of the prompt is gone; {fix}")]) from None
        except ValidationError as error:
            raise PromptError(file, [*validation_problems(error, Prompt), Problem("", version, fix)]) from None
        if version_of(prompt) != version:
            raise PromptError(file, [Problem("", version, f"the file is not what was written; {fix}")])
        return prompt

    def pin(self, run: str, pin: Pin) -> Pin:
        """Pins a run. Of many that do so at once one succeeds: gives what the run is pinned to."""
        if self._folder(RUNS).create(run, pin.model_dump_json().encode()):
            return pin
        return self.pinned(run) or pin

    def pinned(self, run: str) -> Pin | None:
        """What the run is pinned to; None where it is not yet. Raises `PromptError` where that cannot be read."""
        try:
            return Pin.model_validate_json(self._folder(RUNS).read(run))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            file, fix = f"{self._folder(RUNS).uri}/{run}", "start the run again"
            raise PromptError(file, [*validation_problems(error, Pin), Problem("", run, fix)]) from None

    def _folder(self, name: str) -> Folder:
        return self.root.prompt(self.slug).child(name)
