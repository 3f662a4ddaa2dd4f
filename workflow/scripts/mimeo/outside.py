"""Where this machine keeps what a result is made from, whereas no result depends on where that is.

Apart from the records, which every stage imports: an edit there trains everything anew.
"""

import os
from pathlib import Path


def data_folder() -> Path | None:
    """The folder that has one folder a data set: the variable MIMEO_DATA; None where it is not set."""
    given = os.environ.get("MIMEO_DATA")
    return Path(given).expanduser() if given else None
