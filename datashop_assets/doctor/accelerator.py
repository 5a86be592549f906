"""What jax finds, asked in a process of its own: an accelerator is held by the process that looks at it."""

import json
import os
import subprocess
import sys

from datashop_assets.doctor.finding import Finding
from datashop_assets.settings import PROFILE, read_settings

DEVICES = "import json, jax; print(json.dumps([[d.platform, d.device_kind] for d in jax.devices()]))"
PATIENCE = 90  # seconds; a TPU that another process holds makes jax wait


def accelerator() -> Finding:
    """None is a note, but for the profile `gpu`, which is for machines that have one."""
    try:
        asked = subprocess.run(  # noqa: S603 - words of this file
            [sys.executable, "-c", DEVICES], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        mend = "end the process that holds the accelerator, or set JAX_PLATFORMS=cpu"
        return Finding("accelerator", "bad", f"jax did not answer within {PATIENCE} s", mend)
    if asked.returncode:
        why = (asked.stderr.strip().splitlines() or ["jax ended without a word"])[-1]
        return Finding("accelerator", "bad", why, "set JAX_PLATFORMS=cpu, or install the extra for your accelerator")
    kinds = [f"{platform} ({kind})" for platform, kind in json.loads(asked.stdout.splitlines()[-1])]
    if all(kind.startswith("cpu") for kind in kinds):
        return _none()
    return Finding("accelerator", "good", f"{len(kinds)}: {', '.join(dict.fromkeys(kinds))}")


def _none() -> Finding:
    says = f"none; {os.cpu_count()} processor cores"
    if read_settings().profile == "gpu":
        return Finding("accelerator", "bad", says, f"install the extra `gpu`, or unset {PROFILE}")
    return Finding("accelerator", "note", says, "nothing, if there is none; else install the extra `gpu` or `tpu`")
