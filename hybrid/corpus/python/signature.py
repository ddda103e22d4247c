"""Signatures as one readable line."""

from __future__ import annotations

import ast
import re

MAX_EXPRESSION = 40
"""The longest default or annotation that is shown, in characters; a longer one becomes ``…``."""

_BOUND = re.compile(r"\(\$\w+(?:, )?")


def format_arguments(arguments: ast.arguments, *, bound: bool) -> str:
    """Return the arguments of a function, in parentheses.

    With ``bound``, the first one (``self`` or ``cls``) is left out.
    """
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    parts = [_argument(arg, default) for arg, default in zip(positional, defaults, strict=True)]
    if arguments.posonlyargs:
        parts.insert(len(arguments.posonlyargs), "/")
    if bound and positional:
        del parts[0]
        if parts and parts[0] == "/":
            del parts[0]
    if arguments.vararg:
        parts.append("*" + _argument(arguments.vararg, None))
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [
        _argument(arg, default)
        for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        parts.append("**" + _argument(arguments.kwarg, None))
    return f"({', '.join(parts)})"


def format_result(annotation: ast.expr | None) -> str:
    """Return `` -> annotation``, or nothing."""
    return f" -> {_expression(annotation)}" if annotation else ""


def unbound(text_signature: str) -> str:
    """Return a C function's ``__text_signature__`` without the argument that is bound.

    >>> unbound("($self, /, sep=None, maxsplit=-1)")
    '(sep=None, maxsplit=-1)'
    >>> unbound("($module, x, /)")
    '(x, /)'
    """
    if not text_signature.startswith("($"):
        return text_signature
    rest = _BOUND.sub("", text_signature, count=1)
    return "(" + rest.removeprefix("/").removeprefix(", ")


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    """Return one argument with its annotation and default."""
    shown = argument.arg
    if argument.annotation:
        shown += f": {_expression(argument.annotation)}"
    if default is None:
        return shown
    return f"{shown}{' = ' if argument.annotation else '='}{_expression(default)}"


def _expression(node: ast.expr) -> str:
    """Return the source of an expression, or ``…`` if it is long."""
    source = ast.unparse(node)
    return source if len(source) <= MAX_EXPRESSION else "…"
