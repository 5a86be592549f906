"""Files that come with Datashop and are no code: example prompts, Dagster's settings, prices, locks.

In a checkout they stand where a person looks for them; in an installed wheel, in `datashop_assets/files`
(pyproject.toml, `force-include`).
"""

from pathlib import Path

FILES = "files"


def shipped(name: str) -> Path:
    """A file or folder by its place in the checkout, such as `infra/dagster/local/dagster.yaml`."""
    package = Path(__file__).parent
    checkout = package.parent
    return checkout / name if (checkout / "workspace.yaml").exists() else package / FILES / name
