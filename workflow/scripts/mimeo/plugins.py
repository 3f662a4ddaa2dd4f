"""Finds a plug-in by kind and name: the module's file name is the name used in the configuration."""

import importlib
from types import ModuleType

from mimeo.errors import MimeoError


def load(kind: str, name: str) -> ModuleType:
    """The module ``mimeo/{kind}/{name}.py``.

    Raises:
        MimeoError: there is no such file.
    """
    module = f"mimeo.{kind.replace('/', '.')}.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            raise MimeoError(f"{kind}: no plug-in {name!r}: expected a file {kind}/{name}.py") from None
        raise
