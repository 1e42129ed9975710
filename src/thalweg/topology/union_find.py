"""Disjoint sets that remember their eldest member."""

from __future__ import annotations


class UnionFind:
    """Sets of 0 … n−1, of which the smaller number is the elder.

    Union by size with path halving: m operations take O(m α(n)) (Tarjan & van Leeuwen 1984).
    """

    def __init__(self, n: int) -> None:
        self._above = list(range(n))
        self._size = [1] * n
        self._eldest = list(range(n))

    def find(self, x: int) -> int:
        """The set that holds x, named by one of its members."""
        above = self._above
        while above[x] != x:
            above[x] = x = above[above[x]]
        return x

    def eldest(self, x: int) -> int:
        """The smallest member of the set that holds x."""
        return self._eldest[self.find(x)]

    def union(self, x: int, y: int) -> tuple[int, int] | None:
        """Join two sets: (eldest of the joined set, eldest of the other one), or None where they were one."""
        x, y = self.find(x), self.find(y)
        if x == y:
            return None
        if self._size[x] < self._size[y]:
            x, y = y, x
        self._above[y] = x
        self._size[x] += self._size[y]
        elder, younger = self._eldest[x], self._eldest[y]
        if younger < elder:
            elder, younger = younger, elder
        self._eldest[x] = elder
        return elder, younger
