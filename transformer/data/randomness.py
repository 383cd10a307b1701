"""Random numbers by place, not by turn: the numbers of step k need no step before it.

Philox is a generator whose output is a keyed function of a counter (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3", section 3). The seed is its key, and the place
(a step, a row) is the upper part of its counter, the lower part being left to count the draws.
"""

import numpy as np


def random_at(seed: int, *place: int) -> np.random.Generator:
    """Return the generator of one place, of up to three integers from 0.

    Different seeds and different places give independent numbers, in any order of asking and
    in any process. A place whose last integers are 0 is that without them.
    """
    if len(place) > 3 or min(place, default=0) < 0:
        raise ValueError(f"a place is up to three integers of at least 0, got {place}")
    counter = [0, *place, *[0] * (3 - len(place))]
    return np.random.Generator(np.random.Philox(key=seed % 2**64, counter=counter))
