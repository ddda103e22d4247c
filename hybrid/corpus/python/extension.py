"""Modules of the standard library that are written in C: imported, and asked for their docstrings.

Only modules that ship with Python as C code are ever imported; see ``find.compiled_spec``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import types
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

from hybrid.corpus.python.find import compiled_spec
from hybrid.corpus.python.signature import unbound
from hybrid.corpus.python.source import Entry, Kind, clean

_METHODS = (types.MethodDescriptorType, types.ClassMethodDescriptorType, staticmethod)
_PROPERTIES = (types.GetSetDescriptorType, types.MemberDescriptorType)


@cache
def load(name: str) -> types.ModuleType | None:
    """Import a module of the standard library that is C code, quietly.

    Returns None if there is no such module, if the system lacks what it needs (as ``_tkinter`` may lack
    a display library), or if another file on ``sys.path`` has taken its name: that is never run.
    """
    expected = compiled_spec(name)
    if expected is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # modules on their way out say so on import
        try:
            found = importlib.util.find_spec(name)
            if found is None or found.origin != expected.origin:
                return None
            return importlib.import_module(name)
        except (ImportError, ValueError):
            return None


def module_doc(name: str) -> str:
    """Return the docstring of a C module, or nothing."""
    module = load(name)
    return clean(module.__doc__) if module else ""


def public_names(name: str) -> list[str]:
    """Return the names of the documented classes and functions of a C module, sorted."""
    module = load(name)
    names = getattr(module, "__all__", dir(module)) if module else []
    return sorted(item for item in names if not item.startswith("_") and member(name, item) is not None)


def member(module: str, name: str) -> Any:
    """Return the class or function of that name in a C module; None if there is no such thing."""
    holder = load(module)
    value = getattr(holder, name, None)
    if module == "sys":  # debuggers and test runners replace its hooks; it keeps the originals
        value = getattr(holder, f"__{name}__", value)
    return value if inspect.isclass(value) or inspect.isbuiltin(value) else None


def entries(value: Any, name: str) -> Iterator[Entry]:
    """Yield the entry of a class or function of a C module under ``name``, then those of its members."""
    yield _entry(value, name, "class" if inspect.isclass(value) else "function")
    if not inspect.isclass(value):
        return
    for inner, found in sorted(vars(value).items()):
        if inner.startswith("_"):
            continue
        if isinstance(found, _METHODS):
            yield _entry(found, f"{name}.{inner}", "method")
        elif isinstance(found, _PROPERTIES):
            yield _entry(found, f"{name}.{inner}", "property")


def _entry(value: Any, name: str, kind: Kind) -> Entry:
    """Return one entry, with as much of a signature as the C code declares."""
    last = name.rpartition(".")[2]
    declared = getattr(getattr(value, "__func__", value), "__text_signature__", None)
    doc = value.__doc__ if isinstance(value.__doc__, str) else ""
    signature = f"class {last}" if kind == "class" else ""
    if isinstance(declared, str):
        signature = (signature or last) + unbound(declared)
    return Entry(name, kind, signature, clean(doc), None, "c")
