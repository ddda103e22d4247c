"""The command line."""

from hybrid.cli.main import main

__all__ = ["main"]
