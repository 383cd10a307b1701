"""A shuffle that is computed place by place: no list of all places is ever made.

A place below a^2 is a pair (left, right) of numbers below a. A Feistel round makes of it
(right, left + f(right) mod a), which can be undone, so that any number of rounds is a
permutation, whatever f is. Four rounds with random functions cannot be told from a random
permutation (Luby and Rackoff 1988); there are six here, f being a mixer that is fast rather
than proven.

For n places a is the root of n, rounded up. A result from n to a^2 - 1 is put in again until
it is below n: it walks along its cycle, which comes back to where it started, below n (Black
and Rogaway 2002, sections 3 and 4).
"""

import math

import numpy as np
from jaxtyping import Int, UInt

ROUNDS = 6


def permuted(
    places: Int[np.ndarray, " batch"], *, n: int, random: np.random.Generator
) -> Int[np.ndarray, " batch"]:
    """Return where a random permutation of 0 to n - 1 takes `places`.

    `random` decides the permutation. Time and memory do not depend on n.
    """
    keys = random.integers(2**64, size=ROUNDS, dtype=np.uint64)
    a = np.uint64(1 + math.isqrt(n - 1))
    found: UInt[np.ndarray, " batch"] = feistel(places.astype(np.uint64), keys, a)
    while (outside := found >= n).any():
        found[outside] = feistel(found[outside], keys, a)
    return found.astype(np.int64)


def feistel(
    x: UInt[np.ndarray, " batch"], keys: UInt[np.ndarray, " rounds"], a: np.uint64
) -> UInt[np.ndarray, " batch"]:
    """Return the image of numbers below a^2, which are numbers below a^2."""
    left: np.ndarray = x // a
    right: np.ndarray = x % a
    for key in keys:
        left, right = right, (left + mix(right ^ key) % a) % a
    joined: UInt[np.ndarray, " batch"] = left * a + right
    return joined


_30, _27, _31 = (np.uint64(shift) for shift in (30, 27, 31))
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(x: UInt[np.ndarray, " batch"]) -> UInt[np.ndarray, " batch"]:
    """Return 64 bits each of which depends on all of x (splitmix64: Steele et al. 2014)."""
    x = (x ^ (x >> _30)) * _FIRST
    x = (x ^ (x >> _27)) * _SECOND
    mixed: UInt[np.ndarray, " batch"] = x ^ (x >> _31)
    return mixed
