import os

import pytest

from hybrid.errors import InputError
from hybrid.threads import thread_count


def test_the_variable_decides(monkeypatch):
    monkeypatch.setenv("HYBRID_THREADS", " 3 ")
    assert thread_count() == 3


@pytest.mark.parametrize("unset", [None, "", "  "])
def test_without_it_every_processor_that_this_process_may_use(monkeypatch, unset):
    if unset is None:
        monkeypatch.delenv("HYBRID_THREADS", raising=False)
    else:
        monkeypatch.setenv("HYBRID_THREADS", unset)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    assert thread_count() == 3


def test_where_there_is_no_affinity_every_processor(monkeypatch):
    monkeypatch.delenv("HYBRID_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert thread_count() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert thread_count() == 1


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²", "1_000"])
def test_anything_else_is_an_error_that_names_it(monkeypatch, value):
    monkeypatch.setenv("HYBRID_THREADS", value)
    with pytest.raises(InputError, match="HYBRID_THREADS") as caught:
        thread_count()
    assert repr(value) in str(caught.value)
