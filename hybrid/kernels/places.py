"""Places of some documents in the rankings that many weighted sums of the same columns give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True, error_model="numpy")
def places(columns: NDArray[Any], weights: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """Return the place, from 1, of each wanted document in each ranking: int32 (rankings, wanted).

    ``columns``: float64 (branches, documents), the documents in ascending order of their ids.
    ``weights``: float64 (rankings, branches). ``wanted``: positions of documents. A ranking's scores are
    summed in float64 in the order of the branches and rounded once to float32, as fusion does; ids break
    ties.
    """
    branches, documents = columns.shape
    found = np.empty((len(weights), len(wanted)), np.int32)
    scores = np.empty(documents, np.float32)
    for ranking in range(len(weights)):
        for document in range(documents):
            total = weights[ranking, 0] * columns[0, document]
            for branch in range(1, branches):
                total += weights[ranking, branch] * columns[branch, document]
            scores[document] = np.float32(total)
        for n in range(len(wanted)):
            position = wanted[n]
            own = scores[position]
            place = 1
            for document in range(position):
                place += scores[document] >= own
            for document in range(position + 1, documents):
                place += scores[document] > own
            found[ranking, n] = place
    return found
