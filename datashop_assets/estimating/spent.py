"""What a finished stage took."""

from datashop_assets.storage.stage_folder import StageFolder


def seconds_spent(folder: StageFolder) -> float:
    """Seconds of the run that finished a stage; of all its runs, where the stage counts them as `seconds_asking`."""
    return max(folder.manifest.seconds, folder.metrics.get("seconds_asking") or 0.0)
