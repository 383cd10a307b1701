"""Random numbers by place, not by turn: the numbers of step k need no step before it.

Philox is a generator whose output is a keyed function of a counter (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3", section 3). What the numbers are for and the
seed are its key, and the place (a step, a row) is the upper part of its counter, the lower
part being left to count the draws.
"""

import zlib

import numpy as np


def random_at(purpose: str, seed: int, *place: int) -> np.random.Generator:
    """Return the generator of one place, of up to three integers from 0.

    Different purposes, seeds and places give independent numbers, in any order of asking and
    in any process. A place whose last integers are 0 is that without them.
    """
    if len(place) > 3 or min(place, default=0) < 0:
        raise ValueError(f"a place is up to three integers of at least 0, got {place}")
    key = np.array([seed % 2**64, zlib.crc32(purpose.encode())], dtype=np.uint64)
    counter = np.array([0, *place, *[0] * (3 - len(place))], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
