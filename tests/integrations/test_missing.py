"""What an integration says where its library is not installed, each in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("name", "module", "package", "extra"),
    [
        ("langchain", "langchain_core", "langchain-core", "langchain"),
        ("haystack", "haystack", "haystack-ai", "haystack"),
        ("llama_index", "llama_index.core", "llama-index-core", "llama-index"),
    ],
)
def test_it_names_the_extra(name, module, package, extra):
    code = f"""
import sys
sys.modules[{module!r}] = None
import hybrid
try:
    import hybrid.integrations.{name}
except hybrid.MissingDependencyError as error:
    print(error)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert repr(package) in done.stdout
    assert f"hybrid-retrieval[{extra}]" in done.stdout
