"""Under which public name each definition is documented.

A definition has one name. It is the shortest of those that its package gives it: what
``json/decoder.py`` defines and ``json/__init__.py`` imports is ``json.JSONDecoder``, as a reader of
the documentation would write it. What a private module defines is named after the public module
that offers it, or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hybrid.corpus.python.find import is_compiled, is_private
from hybrid.corpus.python.source import Import, Source


@dataclass(frozen=True, slots=True, order=True)
class Definition:
    """Where something is defined: the module as it is imported, and the name in it."""

    module: str
    name: str


class Names:
    """The names of a set of modules, by following ``from … import …`` between them."""

    def __init__(self, sources: Mapping[str, Source], compiled_names: Callable[[str], list[str]]) -> None:
        """Take the modules by name, and a function that lists the public names of a C module."""
        self._sources = sources
        self._compiled_names = compiled_names
        self._offers: dict[str, dict[str, Definition]] = {}

    def public(self) -> dict[Definition, tuple[Source, str]]:
        """Return each definition that has a public name: the module that offers it, and the name there."""
        chosen: dict[Definition, tuple[Source, str]] = {}
        visible = [source for source in self._sources.values() if not is_private(source.module.name)]
        for source in sorted(visible, key=lambda item: (item.module.name.count("."), item.module.name)):
            for alias, definition in sorted(self.offers(source.module.name).items()):
                if not alias.startswith("_"):
                    chosen.setdefault(definition, (source, alias))
        return chosen

    def offers(self, module: str) -> dict[str, Definition]:
        """Return what a module defines, or offers as its own though defined elsewhere, by name."""
        if module in self._offers:
            return self._offers[module]
        offered = self._offers[module] = {}  # known from here on: import cycles end here
        source = self._sources.get(module)
        if source is None:
            return offered
        for item in source.imports:
            for alias, definition in self._imported(item).items():
                if _offered_by(source, item, alias, definition):
                    offered[alias] = definition
        for name, group in source.entries.items():
            if name not in offered or any(entry.doc for entry in group):
                offered[name] = Definition(module, name)
        return offered

    def _imported(self, item: Import) -> dict[str, Definition]:
        """Return what one import brings, by the name that it gets."""
        if item.module in self._sources:
            origin = self._sources[item.module]
            available = self.offers(item.module)
            if item.name != "*":
                return {item.alias: available[item.name]} if item.name in available else {}
            return {
                name: definition
                for name, definition in available.items()
                if not name.startswith("_") and (origin.exports is None or name in origin.exports)
            }
        if not is_compiled(item.module) or item.alias.startswith("_"):
            return {}
        names = self._compiled_names(item.module) if item.name == "*" else [item.name]
        return {name if item.name == "*" else item.alias: Definition(item.module, name) for name in names}


def _offered_by(source: Source, item: Import, alias: str, definition: Definition) -> bool:
    """Return whether a module offers, as its own, a name that it imports.

    The definition must be private or inside the package, and the import must be meant for others:
    listed in ``__all__``, or brought by ``import *``, or, without ``__all__``, under its own name from
    within the same package.
    """
    home = source.module
    inside = home.is_package and definition.module.startswith(home.name + ".")
    if not (inside or is_private(definition.module)):
        return False
    if source.exports is not None:
        return alias in source.exports
    related = _family(home.name) == _family(definition.module)
    return item.name == "*" or (related and alias == item.name)


def _family(module: str) -> str:
    """Return the top-level name without underscores: ``_ctypes`` belongs to ``ctypes``."""
    return module.partition(".")[0].lstrip("_")
