"""Where the modules of a package are, without running any of them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hybrid.errors import CorpusError

LEFT_OUT = frozenset(
    {"antigravity", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "readline", "test"}
    | {"this", "turtledemo", "xxlimited", "xxlimited_35", "xxsubtype"}
)
"""Standard-library modules that are no one's subject (``readline`` speaks to the terminal on import)."""

ACCELERATORS = frozenset({"_decimal", "_elementtree"})
"""C twins of Python modules: the Python source documents the same, and importing them runs Python code."""

TEST_NAMES = frozenset({"__main__", "conftest", "idle_test", "test", "tests", "testing_data"})
"""Submodules and subpackages that are never read."""

PRIVATE_MODULES = frozenset({"genericpath", "nt", "posix", "pyexpat"})
"""Modules public by name only: ``os``, ``os.path`` and ``xml.parsers.expat`` offer what they hold."""


def is_private(module: str) -> bool:
    """Return whether a module is not meant to be imported by users.

    >>> is_private("asyncio.tasks"), is_private("importlib._abc"), is_private("posix")
    (False, True, True)
    """
    return module in PRIVATE_MODULES or any(part.startswith("_") for part in module.split("."))


@dataclass(frozen=True, slots=True)
class Module:
    """One module with source: its dotted name, its file, and that file relative to the library.

    ``name`` is how the source is imported; ``public`` what it is called (``os.path`` for
    ``posixpath``).
    """

    name: str
    path: Path
    file: str

    @property
    def is_package(self) -> bool:
        """Whether other modules can be inside it."""
        return self.path.name == "__init__.py"

    @property
    def public(self) -> str:
        """The name under which its contents are documented."""
        return "os.path" if self.name == os.path.__name__ else self.name


def standard_library() -> tuple[list[Module], list[str]]:
    """Return the standard library: its modules with source, and its public modules without.

    The second list names modules written in C, compiled in or in a shared library. Both are sorted
    by name. Private modules with source are in the first, since public ones re-export from them.

    Raises:
        CorpusError: the source files of this Python are not on disk.

    """
    names = sorted(sys.stdlib_module_names - LEFT_OUT - {"ntpath", "posixpath"} | {os.path.__name__})
    modules: list[Module] = []
    compiled: list[str] = []
    for name in names:
        found = list(_modules_at(name, _library(), _library()))
        modules += found
        if not found and not is_private(name) and is_compiled(name):
            compiled.append(name)
    return modules, compiled


def installed(name: str) -> tuple[list[Module], list[str]]:
    """Return the modules of one installed package or module, as :func:`standard_library` does.

    Only the top-level name is looked up through Python's import system, which runs no code of the
    package; the parts after a dot are followed on disk.

    Raises:
        CorpusError: nothing of that name is installed, or it has no Python source.

    """
    top, _, rest = name.partition(".")
    if not all(part.isidentifier() for part in name.split(".")):
        raise _unknown(name, "is not the dotted name of a module")
    if name == "os.path":
        names = ("genericpath", os.path.__name__)
        return [module for item in names for module in _modules_at(item, _library(), _library())], []
    if name in sys.stdlib_module_names and is_compiled(name):
        return [], [name]
    folders = [_library()] if top in sys.stdlib_module_names else _folders(top, name)
    parts = rest.split(".") if rest else []
    modules = [
        module
        for folder in folders
        for module in _modules_at(name, folder.joinpath(top, *parts[:-1]) if parts else folder, folder)
    ]
    if not modules:
        raise _unknown(name, "has no Python source" if not parts else f"was not found in {top!r}")
    return modules, []


def is_compiled(name: str) -> bool:
    """Return whether a module is the standard library's own C code, and the only place of its docstrings."""
    return compiled_spec(name) is not None


def compiled_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Return where the standard library's own C module of that name is; None if there is none."""
    if name not in sys.stdlib_module_names or name in ACCELERATORS:
        return None
    if name in sys.builtin_module_names:
        return importlib.machinery.BuiltinImporter.find_spec(name)
    spec = importlib.machinery.PathFinder.find_spec(name, [str(_library()), str(_library() / "lib-dynload")])
    is_extension = spec is not None and isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)
    return spec if is_extension else None


def _library() -> Path:
    """Return the folder of the standard library's source files."""
    folder = Path(os.__file__).parent
    if not (folder / "os.py").is_file():
        raise CorpusError(
            f"python:stdlib: the source of Python's standard library is not in {folder}; "
            "use a Python installation that includes it"
        )
    return folder


def _folders(top: str, name: str) -> list[Path]:
    """Return the folders in which the top-level module or package ``top`` lies."""
    try:
        spec = importlib.util.find_spec(top)
    except ValueError as error:
        raise _unknown(name, f"cannot be located ({error})") from error
    if spec is None:
        raise _unknown(name, "is not installed")
    if spec.submodule_search_locations is not None:
        return [Path(place).parent for place in spec.submodule_search_locations]
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise _unknown(name, "has no Python source")
    return [Path(spec.origin).parent]


def _modules_at(name: str, folder: Path, root: Path) -> Iterator[Module]:
    """Yield the module or package ``name`` that lies in ``folder``, then what is inside it."""
    last = name.rpartition(".")[2]
    package = folder / last
    start = package / "__init__.py"
    if start.is_file():
        yield Module(name, start, start.relative_to(root).as_posix())
    elif (folder / f"{last}.py").is_file():
        path = folder / f"{last}.py"
        yield Module(name, path, path.relative_to(root).as_posix())
        return
    elif not package.is_dir():
        return
    for inner in sorted(_inside(package)):
        yield from _modules_at(f"{name}.{inner}", package, root)


def _inside(package: Path) -> Iterator[str]:
    """Yield the names of the modules and packages directly in a package."""
    for path in package.iterdir():
        is_module = path.suffix == ".py" and path.stem != "__init__"
        is_package = path.is_dir() and (path / "__init__.py").is_file()
        if (is_module or is_package) and path.stem.isidentifier() and path.stem not in TEST_NAMES:
            yield path.stem


def _unknown(name: str, problem: str) -> CorpusError:
    """Return the error for a package that cannot be read."""
    return CorpusError(
        f"python:{name}: {name!r} {problem}; give 'python:stdlib', or the name under which an installed "
        "package is imported, such as 'python:numpy' or 'python:email.mime'"
    )
