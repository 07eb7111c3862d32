"""Delays modules that the daemon's packages import and the daemon never uses: each is loaded at its first use.

pydantic looks for plugins by `importlib.metadata`, paho for proxies by `urllib.request`; with what these two import
they are a twentieth of the start, and 3 MB. `importlib.util.LazyLoader` saves neither: `from importlib.metadata import
entry_points` in pydantic loads such a module at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

#: Each with the functions that are imported from it by name: the first call loads the module.
_UNUSED: dict[str, tuple[str, ...]] = {"importlib.metadata": ("entry_points",), "urllib.request": ()}


def defer() -> None:
    """Make the import of these modules free from now on; those that are loaded already stay as they are."""
    for name, functions in _UNUSED.items():
        if name in sys.modules:
            continue
        module = _DeferredModule(name)
        module.__spec__ = importlib.util.find_spec(name)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        setattr(importlib.import_module(parent), child, module)
        for function in functions:
            setattr(module, function, _calling(module, function))


class _DeferredModule(ModuleType):
    """A placeholder for a module: it loads the real one at the first use, and passes every access on to it."""

    _loading = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions about a module, on every import
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        with self._loading:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            return importlib.import_module(self.__name__)


def _calling(module: _DeferredModule, function: str) -> Callable[..., Any]:
    def call(*values: Any, **named: Any) -> Any:
        return getattr(module._real(), function)(*values, **named)  # noqa: SLF001 - they are of one piece

    return call
