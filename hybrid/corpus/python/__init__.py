"""The documentation of Python packages: modules, classes, functions and methods as documents."""

from hybrid.corpus.python.reader import read_python

__all__ = ["read_python"]
