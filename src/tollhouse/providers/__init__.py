"""Providers: one file for each family of hosts, found by its name. Pure.

A new file with a module-level ``PROVIDER`` is all it takes: ``Host.provider`` names the file. `snapshot` calls `load`
when a configuration is put together, never while a request is served.
"""

from importlib import import_module
from pkgutil import iter_modules

from tollhouse.providers.protocol import Provider

NAMES = frozenset(module.name for module in iter_modules(__path__)) - {"protocol"}
"""Every provider there is."""


def load(name: str) -> Provider:
    """The provider in the file of this name. Raises `ValueError` that lists the known names."""
    if name not in NAMES:
        raise ValueError(f"no provider is called {name!r}; there are: {', '.join(sorted(NAMES))}")
    provider: Provider = import_module(f"{__name__}.{name}").PROVIDER
    return provider
