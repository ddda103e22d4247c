"""The tree of errors: as drawn, complete, and catchable as the built-in errors it promises."""

from __future__ import annotations

import inspect
import re

import pytest

import hybrid
from hybrid import errors

BRANCH = re.compile(r"^(?P<indent>(?:│   |    )*)(?:[├└]── )(?P<name>\w+)\s+(?P<says>\S.*)$")
BUILT_IN = {"InputError": ValueError, "NotFoundError": KeyError, "MissingDependencyError": ImportError}


def drawn() -> dict[str, tuple[str, str]]:
    """Return each error of the docstring's tree with its parent and its description."""
    found: dict[str, tuple[str, str]] = {}
    path = ["HybridError"]
    for line in inspect.getdoc(errors).splitlines():
        if match := BRANCH.match(line.removeprefix("    ")):
            depth = len(match["indent"]) // 4 + 1
            path[depth:] = [match["name"]]
            found[match["name"]] = (path[depth - 1], match["says"])
    return found


def defined() -> dict[str, type[BaseException]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }


def test_the_drawing_is_the_tree():
    """Names, parents and order, so that neither can change without the other."""
    real = {
        name: next(base.__name__ for base in cls.__bases__ if issubclass(base, errors.HybridError))
        for name, cls in defined().items()
        if cls is not errors.HybridError
    }
    assert [(name, parent) for name, (parent, _) in drawn().items()] == list(real.items())


def test_each_line_names_the_built_in_error_that_it_also_is():
    for name, (_, says) in drawn().items():
        stated = re.search(r"\(also an? (\w+)\)", says)
        bases = [base for base in defined()[name].__bases__ if not issubclass(base, errors.HybridError)]
        assert ([stated[1]] if stated else []) == [base.__name__ for base in bases], name
        assert bases == ([BUILT_IN[name]] if name in BUILT_IN else []), name


def test_all_are_public():
    assert [name for name in defined() if getattr(hybrid, name, None) is not defined()[name]] == []


@pytest.mark.parametrize("name", sorted(set(defined()) - {"MissingDependencyError", "ConflictError"}))
def test_the_message_is_printed_as_given(name):
    """Also by the one that is a KeyError, which would put it in quotes."""
    message = "there is no document 'a'; see\nindex.ids()"
    error = defined()[name](message)
    assert str(error) == message
    assert error.args == (message,)
    assert str(defined()[name]()) == ""


def test_not_found_is_a_key_error():
    with pytest.raises(KeyError) as caught:
        raise errors.NotFoundError("there is no document 'a'")
    assert str(caught.value) == "there is no document 'a'"


def test_a_missing_dependency_names_the_extra():
    error = errors.MissingDependencyError("pylate", "colbert")
    assert isinstance(error, ImportError)
    assert str(error) == (
        "the package 'pylate' is needed for this and is not installed; "
        "run: pip install 'hybrid-retrieval[colbert]'"
    )
