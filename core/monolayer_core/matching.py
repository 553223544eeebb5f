"""One-to-one matching of objects that may each have several partners."""

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


def count_maximum_matching(left: Int64Array, right: Int64Array) -> int:
    """Size of a maximum matching of a bipartite graph: the most edges of which no two share an end.

    Method: augmenting paths (Kuhn 1955), searched breadth first so that no path is too long for the stack.

    Parameters
    ----------
    left, right : int64 (edge,)
        The two ends of each edge, any numbers.

    Examples
    --------
    Both of the left side may have 0, but only the first may have 1.

    >>> count_maximum_matching(np.array([0, 0, 1]), np.array([0, 1, 0]))
    2
    """
    neighbours: dict[int, list[int]] = {}
    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        neighbours.setdefault(a, []).append(b)
    partner_of_right: dict[int, int] = {}
    partner_of_left: dict[int, int] = {}
    for root in neighbours:
        reached_from: dict[int, int] = {}
        queue = [root]
        free = None
        while queue and free is None:
            a = queue.pop(0)
            for b in neighbours[a]:
                if b in reached_from:
                    continue
                reached_from[b] = a
                if b not in partner_of_right:
                    free = b
                    break
                queue.append(partner_of_right[b])
        while free is not None:  # walk back to the root, giving every object on the way its new partner
            a = reached_from[free]
            previous = partner_of_left.get(a)
            partner_of_right[free], partner_of_left[a] = a, free
            free = previous
    return len(partner_of_right)
