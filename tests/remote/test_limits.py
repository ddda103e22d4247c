"""Rate limits and waiting, against a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid import InputError
from hybrid.remote import Limits, Retries
from hybrid.remote.limiter import Limiter
from hybrid.remote.retrying import retry_after
from hybrid.remote.service import checked_url, message
from hybrid.remote.tokens import batches, estimated_tokens


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@given(
    st.integers(1, 5),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), max_size=40),
)
def test_no_window_holds_more_than_allowed(requests, tokens, asked):
    clock, passed = Clock(), []
    limiter = Limiter(Limits(requests, tokens), clock=clock)
    for pause, size in asked:
        clock.now += pause
        while (wait := limiter.delay(size)) > 0:
            clock.now += wait
        passed.append((clock.now, size))
    for moment, _ in passed:
        window = [size for then, size in passed if moment - 60 < then <= moment]
        assert len(window) <= requests
        assert sum(window) <= tokens or len(window) == 1


def test_waits_are_as_short_as_can_be():
    clock = Clock()
    limiter = Limiter(Limits(requests_per_minute=2), clock=clock)
    assert limiter.delay(1) == limiter.delay(1) == 0
    clock.now += 10
    assert limiter.delay(1) == 50
    clock.now += 50
    assert limiter.delay(1) == 0


def test_a_pause_closes_and_opens():
    clock = Clock()
    limiter = Limiter(Limits(), clock=clock)
    limiter.pause(7)
    limiter.pause(3)
    assert limiter.delay(1) == 7
    clock.now += 7
    assert limiter.delay(1) == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.2.3"}, None),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers, now=1795255200.0) == seconds


def test_waiting_grows_and_ends():
    retries = Retries(attempts=6, first=1.0, longest=5.0, patience=9.0)
    for failures, whole in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (5, 5.0)):
        waits = [retries.wait(failures, None) for _ in range(200)]
        assert all(whole / 2 <= wait <= whole for wait in waits)
        assert len(set(waits)) > 100
    assert retries.wait(6, None) is None
    assert retries.wait(1, 9.5) is None
    assert 8.0 <= retries.wait(1, 8.0) <= 8.1


@given(st.lists(st.text(max_size=30)), st.integers(1, 6), st.integers(1, 30))
def test_batches_hold_each_text_once_in_order(texts, most_texts, most_tokens):
    runs = list(batches(texts, most_texts, most_tokens))
    assert [text for run in runs for text in texts[run]] == texts
    for run in runs:
        tokens = sum(map(estimated_tokens, texts[run]))
        assert 1 <= len(texts[run]) <= most_texts
        assert tokens <= most_tokens or len(texts[run]) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "too\\n  bad", "code": null}}', "too bad"),
        ('{"id": "1", "message": "invalid api token"}', "invalid api token"),
        ('{"detail": "no"}', "no"),
        ('{"error": "Model is overloaded", "error_type": "Overloaded"}', "Model is overloaded"),
        ("<html>bad gateway</html>", "<html>bad gateway</html>"),
        ("", ""),
        ("x" * 1000, "x" * 300),
    ],
)
def test_what_errors_say(body, said):
    assert message(body) == said


def test_addresses():
    assert checked_url("http://localhost:8080/v1/") == "http://localhost:8080/v1"
    for wrong in ("localhost:8080", "", "http://", "http://a:b:c", None, "http://x:99999999"):
        with pytest.raises(InputError, match="base_url is not an address"):
            checked_url(wrong)


@pytest.mark.parametrize("wrong", [{"concurrency": None}, {"concurrency": 0}, {"tokens_per_minute": 1.5}])
def test_limits_are_checked(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Limits(**wrong)
