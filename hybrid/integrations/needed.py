"""What an integration needs is there, or the error says what to install."""

from __future__ import annotations

import importlib

from hybrid.errors import MissingDependencyError


def require(module: str, package: str, extra: str) -> None:
    """Import a module of an optional package.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(package, extra) from error
