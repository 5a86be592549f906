"""Settings as another environment than this process's gives them."""

import os
from collections.abc import Mapping
from unittest.mock import patch

from datashop_assets.settings import Settings, read_settings


def settings_of(environment: Mapping[str, str]) -> Settings:
    """What `read_settings` makes of these variables and no others."""
    with patch.dict(os.environ, environment, clear=True):
        return read_settings()
