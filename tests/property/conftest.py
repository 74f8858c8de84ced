"""What every property is held to on: both engines."""

import importlib
import pkgutil

import gatewright
from tests.support.engines import postgres_server

__all__ = ["postgres_server"]

# Hypothesis tries the constants of whatever is imported: all of it, or the examples would depend on which tests came before.
for _module in pkgutil.walk_packages(gatewright.__path__, "gatewright."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)
