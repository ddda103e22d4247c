"""The other end of `hybrid.text.processes`: a process that counts terms until its input ends."""

from __future__ import annotations

import os
import pickle
import signal
import sys

from hybrid.text.counts import count_terms

GREETING = b"hybrid analysis\n"
"""What a process says when it is ready; whatever came before it was not meant for us."""


def serve() -> None:
    """Answer each request on standard input with `TermCounts` on standard output.

    None is the answer where the analysis fails: the same request then fails for whoever made it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks decides
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # nobody else writes there
        answers.write(GREETING)
        answers.flush()
        while True:
            try:
                request = pickle.load(sys.stdin.buffer)
            except (EOFError, pickle.UnpicklingError):
                return
            try:
                found = count_terms(*request)
            except Exception:
                found = None
            try:
                pickle.dump(found, answers, pickle.HIGHEST_PROTOCOL)
                answers.flush()
            except BrokenPipeError:
                os._exit(0)  # nobody listens any more
