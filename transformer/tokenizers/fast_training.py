"""The merges of `sennrich_bpe.learn_merges`, found without reading all words for each.

Distinct words are counted once; each merge visits only the places of its pair (see
`linked_tokens.py`); a heap gives the commonest pair. An entry of the heap is an upper bound,
since a pair's count only falls once the merge that made it is done: when the top is out of
date it goes back with its true count, so what stays on top is right.
"""

import heapq
from collections.abc import Sequence

from transformer.tokenizers.linked_tokens import SHIFT, LinkedTokens, unpack

PAIR = 1 << 2 * SHIFT  # above every pair's key


def learn_merges_fast(
    words: Sequence[Sequence[int]], counts: Sequence[int], *, n_symbols: int, n_merges: int
) -> list[tuple[int, int]]:
    """Return up to `n_merges` pairs of ids in the order learned.

    `words` are made of ids below `n_symbols`; merge number k makes the id `n_symbols + k`. Of
    pairs equally common the smaller comes first, as in the plain algorithm, because ids are
    in the order of age.
    """
    tokens = LinkedTokens(words, counts)
    count = tokens.count
    # One integer an entry, smallest first: the greater count, then the smaller pair.
    heap = [pair - n * PAIR for pair, n in count.items()]
    heapq.heapify(heap)
    merges: list[tuple[int, int]] = []
    while heap and len(merges) < n_merges:
        entry = heap[0]
        pair = entry % PAIR
        current = pair - count[pair] * PAIR
        if current != entry:
            heapq.heapreplace(heap, current)
        elif current == pair:
            break  # the commonest pair does not occur
        else:
            heapq.heappop(heap)
            for made in tokens.merge(pair, n_symbols + len(merges)):
                heapq.heappush(heap, made - count[made] * PAIR)
            merges.append(unpack(pair))
    return merges
