"""Taking dev and test out of a corpus that has none, the same way every time."""

from collections.abc import Mapping
from hashlib import blake2b

from kotrans.corpus.cleaning import fold
from kotrans.corpus.formats.pairs import Pairs
from kotrans.errors import DataError
from kotrans.text import normalize

_FULL_ENOUGH = 0.9  # a corpus with two translations of everything cannot give 401 pairs


def hold_out(pairs: Pairs, wanted: Mapping[str, int], where: str) -> dict[str, Pairs]:
    """`train` and the wanted splits, with as many pairs as asked for (a few less if no group fills the last places).

    Pairs that share a sentence on either side, directly or through others, stay together. Which of these groups are
    taken is decided by a hash of their English: the order of the pairs does not matter, and when upstream adds some,
    a split changes by about their share of the whole.
    Raises DataError if there are too few pairs.
    """
    groups = _groups(pairs)
    result: dict[str, Pairs] = {}
    for split in sorted(wanted):
        taken = _take(groups, wanted[split], split, pairs)
        if taken is None:
            raise DataError(
                f"{where}: holdout wants {wanted[split]:,} pairs for {split}, but that many cannot be set apart from "
                f"{len(pairs.source):,} without sharing a sentence; ask for fewer"
            )
        result[split] = Pairs([pairs.source[i] for i in taken], [pairs.target[i] for i in taken])
    rest = sorted(index for group in groups for index in group)
    result["train"] = Pairs([pairs.source[i] for i in rest], [pairs.target[i] for i in rest])
    return result


def _groups(pairs: Pairs) -> list[list[int]]:
    """Indices of pairs that are connected by equal sentences (disjoint sets with path halving)."""
    parent: list[int] = []

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    nodes: dict[tuple[str, str], int] = {}
    ends = []
    for source, target in zip(pairs.source, pairs.target, strict=True):
        left, right = (nodes.setdefault(side, len(nodes)) for side in (("ko", _same(source)), ("en", _same(target))))
        parent.extend(range(len(parent), len(nodes)))
        parent[root(left)] = root(right)
        ends.append(left)
    groups: dict[int, list[int]] = {}
    for index, node in enumerate(ends):
        groups.setdefault(root(node), []).append(index)
    return list(groups.values())


def _take(groups: list[list[int]], count: int, split: str, pairs: Pairs) -> list[int] | None:
    """Removes the groups of lowest rank that fit from `groups` and gives their pairs in an order of their own.

    None if they are too few.
    """

    def rank(index: int) -> bytes:
        # Each split has ranks of its own, so a pair pushed out of one by upstream's additions goes back to train.
        return blake2b(f"{split}\n{_same(pairs.target[index])}".encode(), digest_size=16).digest()

    ranked = sorted(groups, key=lambda group: min(map(rank, group)))
    taken: list[int] = []
    rest = []
    for group in ranked:
        if len(taken) + len(group) <= count:
            taken += sorted(group, key=lambda index: (rank(index), pairs.source[index], pairs.target[index]))
        else:
            rest.append(group)
    groups[:] = rest
    return taken if len(taken) >= _FULL_ENOUGH * count else None


def _same(line: str) -> str:
    normal = normalize(line)
    return fold(normal) or normal
