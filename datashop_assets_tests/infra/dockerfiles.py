"""What stands in a Dockerfile: its stages, and the commands of each."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    stage: str
    name: str
    arguments: str


def read(file: Path) -> list[Instruction]:
    """Every instruction, with continued lines joined and without comments."""
    text = "\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
    stage, found = "", []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        name, _, arguments = line.strip().partition(" ")
        if name == "FROM":
            stage = arguments.rpartition(" AS ")[2] if " AS " in arguments else "final"
        if name:
            found.append(Instruction(stage, name, arguments))
    return found


def run_commands(file: Path, stage: str) -> list[str]:
    """The shell commands of a stage, without options such as `--mount`."""
    lines = [each.arguments for each in read(file) if (each.stage, each.name) == (stage, "RUN")]
    return [re.sub(r"^(--\S+\s+)+", "", line) for line in lines]
