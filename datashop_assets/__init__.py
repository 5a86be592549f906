"""Datashop: from a rubric to a filtered pretraining corpus, with error bars."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datashop_assets.results import open_stage

__all__ = ["open_stage"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: every module of the package passes here first, and most need nothing of it."""
    if name == "open_stage":
        from datashop_assets.results import open_stage

        return open_stage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
