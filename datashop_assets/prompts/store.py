"""Where prompts are: the files of a folder, and the experiments that scripts have stored under the root.

One bad file never hides the others: `slugs` lists what can be used, `problems` what cannot and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datashop_assets.prompts.parsing import MAX_BYTES, Problem, PromptError, in_utf8, parse_yaml, read_yaml
from datashop_assets.prompts.prompt import SLUG, Prompt, load_prompt, parse_prompt
from datashop_assets.settings import Settings
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import Root, project

SUFFIXES = (".yaml", ".yml")
STORED = "prompt.yaml"


def default_prompts(settings: Settings) -> Path:
    """The folder that `DATASHOP_PROMPTS` names, else `prompts` in the project."""
    return Path(settings.prompts or project() / "prompts")


@dataclass(frozen=True)
class PromptStore:
    """The prompts of a folder, and those kept under `<root>/prompts/<slug>/prompt.yaml`. Read anew at every call."""

    folder: Path
    root: Root

    def slugs(self) -> list[str]:
        """Prompts that can be used, sorted."""
        return list(self.prompts())

    def prompts(self) -> dict[str, Prompt]:
        """Every prompt that can be used, by slug."""
        return {slug: one for slug, one in self._read().items() if isinstance(one, Prompt)}

    def problems(self) -> dict[str, PromptError]:
        """What cannot be used, by slug, and why."""
        return {slug: one for slug, one in self._read().items() if isinstance(one, PromptError)}

    def load(self, slug: str) -> Prompt:
        """One prompt. Raises `PromptError`, also where there is none of that name."""
        prompt = self._one(slug, self._files().get(slug, []))
        if prompt is None:
            fix = f"no such prompt; there are {', '.join(self.slugs()) or 'none'}; add {slug}.yaml to {self.folder}"
            raise PromptError(str(self.folder), [Problem("", slug, fix)])
        if isinstance(prompt, PromptError):
            raise prompt
        return prompt

    def keep(self, prompt: Prompt) -> None:
        """Stores an experiment's prompt, so that status, sensor and UI see it. It replaces its own older version.

        Raises `PromptError` where a file of the folder has the same slug and says something else.
        """
        written = self._from_files(prompt.slug, self._files().get(prompt.slug, []))
        if written is not None and written != prompt:
            raise _twice(prompt.slug, [str(self.folder / prompt.slug), "this experiment"])
        fields = prompt.model_dump(mode="json", exclude={"slug"})
        text = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False)
        self.root.prompt(prompt.slug).write(STORED, text.encode())

    def _read(self) -> dict[str, Prompt | PromptError]:
        files = self._files()
        stored = [slug for slug in Folder(f"{self.root.uri.rstrip('/')}/prompts").folders() if SLUG.fullmatch(slug)]
        read = {slug: self._one(slug, files.get(slug, [])) for slug in sorted({*files, *stored})}
        return {slug: one for slug, one in read.items() if one is not None}

    def _files(self) -> Mapping[str, list[Path]]:
        """Files by the slug they claim. Raises `PromptError` where there is no folder."""
        if not self.folder.is_dir():
            fix = "is not a folder; create it, or name another in DATASHOP_PROMPTS"
            raise PromptError(str(self.folder), [Problem("", self.folder.name, fix)])
        files: dict[str, list[Path]] = {}
        for path in sorted(self.folder.iterdir()):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                files.setdefault(in_utf8(path.stem), []).append(path)
        return files

    def _one(self, slug: str, files: list[Path]) -> Prompt | PromptError | None:
        written, stored = self._from_files(slug, files), self._from_root(slug)
        if isinstance(written, Prompt) and stored is not None and written != stored:
            return _twice(slug, [str(files[0]), f"{self.root.prompt(slug).uri}/{STORED}"])
        return stored if written is None else written

    def _from_files(self, slug: str, files: list[Path]) -> Prompt | PromptError | None:
        if len(files) > 1:
            return _twice(slug, [str(path) for path in files])
        try:
            return load_prompt(files[0]) if files else None
        except PromptError as error:
            return error

    def _from_root(self, slug: str) -> Prompt | PromptError | None:
        if not SLUG.fullmatch(slug) or not self.root.prompt(slug).exists(STORED):
            return None
        folder = self.root.prompt(slug)
        file = f"{folder.uri}/{STORED}"
        try:
            return parse_prompt(self._stored(folder), slug, file)
        except PromptError as error:
            return error

    @staticmethod
    def _stored(folder: Folder) -> Any:
        if folder.local is not None:
            return read_yaml(folder.local / STORED)
        with folder.open(STORED) as stored:
            return parse_yaml(stored.read(MAX_BYTES + 1), f"{folder.uri}/{STORED}")


def _twice(slug: str, places: list[str]) -> PromptError:
    fix = f"is defined in {' and in '.join(places)}, which differ; rename or remove one"
    return PromptError(places[0], [Problem("slug", slug, fix)])
