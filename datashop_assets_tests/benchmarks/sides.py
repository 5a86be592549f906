"""What benchmarks share: the other side in its own environment, and one JSON object as the last line.

Both sides run in one call, one after the other, so that their figures are from the same machine at the same time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datashop_assets.storage.root import project

HERE = Path(__file__).parent
PEERS = ".venv-peers/bin/python"
VLLM = ".venv-vllm/bin/python"


def run_peer(script: str, python: str, **arguments: Any) -> dict[str, Any]:
    """Runs `script` of this folder with the project's `python` and `arguments` as one JSON argument.

    What the script prints goes to standard error; its last line that is an object is its result, for vLLM's processes
    speak once more when they end. Raises `FileNotFoundError` where the environment is not made, and `RuntimeError`
    where the script fails.
    """
    interpreter = project() / python
    if not interpreter.exists():
        raise FileNotFoundError(
            f"{interpreter} is not there; run `make {Path(python).parts[0].removeprefix('.venv-')}`"
        )
    environment = {**os.environ, "PYTHONPATH": str(project())}
    # -P: this folder is not searched for modules, where `tokenize` would stand before Python's own
    command = [str(interpreter), "-P", str(HERE / script), json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    lines = done.stdout.splitlines()
    results = [line for line in lines if line.startswith("{")]
    print(*(line for line in lines if line not in results[-1:]), sep="\n", file=sys.stderr)
    if done.returncode or not results:
        raise RuntimeError(f"{script} in {interpreter} ended with code {done.returncode}; what it said is above")
    return dict(json.loads(results[-1]))


def print_result(ours: float, peer: float, **more: Any) -> None:
    """Prints `ours`, `peer` and their ratio, and whatever else is worth knowing, as one line of JSON."""
    print(json.dumps({"ours": ours, "peer": peer, "ratio": ours / peer, **more}), flush=True)


def arguments() -> Mapping[str, Any]:
    """What `run_peer` handed to this script."""
    return dict(json.loads(sys.argv[1]))
