"""The Merkle tree of RFC 6962 / RFC 9162, as pure functions over a reader of stored hashes.

Only complete subtrees are stored, because they never change again: appending adds two rows on average, and
roots and proofs read O(log n) of them. Must not be here: events, SQL, signatures.

A node is named by its place in an in-order numbering of the tree (as in RFC 9420, appendix C): leaf i is 2i,
and a parent lies halfway between its children.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

EMPTY_ROOT = hashlib.sha256().digest()


class Node(NamedTuple):
    """The complete subtree over leaves [number * 2**level, (number + 1) * 2**level)."""

    level: int
    number: int

    @property
    def position(self) -> int:
        return (2 * self.number + 1 << self.level) - 1


Reader = Callable[[Sequence[int]], Mapping[int, bytes]]
"""Positions → their stored hashes, all in one go."""


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def node_at(position: int) -> Node:
    """Inverse of `Node.position`."""
    level = (~position & (position + 1)).bit_length() - 1
    return Node(level, position >> level + 1)


def children(node: Node) -> tuple[Node, Node]:
    """The two halves of an inner node."""
    return Node(node.level - 1, 2 * node.number), Node(node.level - 1, 2 * node.number + 1)


def cover(start: int, end: int) -> list[Node]:
    """The complete subtrees that make up leaves [start, end), left to right.

    `start` must be a multiple of a power of two not below end - start, as in every range RFC 9162 names.
    """
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def completed_by(index: int) -> list[Node]:
    """What appending leaf `index` needs: the left siblings of the subtrees it completes, lowest first."""
    siblings = []
    level = 0
    while index >> level & 1:
        siblings.append(Node(level, (index >> level) - 1))
        level += 1
    return siblings


def grow(index: int, leaf: bytes, left: Mapping[int, bytes]) -> dict[int, bytes]:
    """The rows that appending leaf hash `leaf` as number `index` adds: position → hash.

    `left` holds at least the hashes of `completed_by(index)`.
    """
    node, value = Node(0, index), leaf
    rows = {node.position: value}
    for sibling in completed_by(index):
        value = node_hash(left[sibling.position], value)
        node = Node(node.level + 1, node.number >> 1)
        rows[node.position] = value
    return rows


def push(edge: list[bytes], index: int, leaf: bytes) -> dict[int, bytes]:
    """Like `grow`, from the hashes of `cover(0, index)`, which become those of `cover(0, index + 1)`."""
    position, step, value = Node(0, index).position, 1, leaf
    rows = {position: value}
    while index & 1:  # a right child: its left sibling stands last on the edge; their parent lies halfway
        value = node_hash(edge.pop(), value)
        position -= step
        rows[position] = value
        index, step = index >> 1, 2 * step
    edge.append(value)
    return rows


class Tree(Mapping[int, bytes]):
    """Position → hash of every complete subtree over some leaf hashes, held in memory."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self._hashes: list[bytes | None] = [None] * max(2 * len(leaves) - 1, 0)
        row, level = list(leaves), 0
        while row:
            first, step = Node(level, 0).position, 2 << level
            self._hashes[first : first + step * len(row) : step] = row
            row = list(map(node_hash, row[0::2], row[1::2]))
            level += 1

    def __getitem__(self, position: int) -> bytes:
        value = self._hashes[position] if 0 <= position < len(self._hashes) else None
        if value is None:
            raise KeyError(position)
        return value

    def __iter__(self) -> Iterator[int]:
        return (position for position, value in enumerate(self._hashes) if value is not None)

    def in_order(self) -> Iterator[tuple[int, bytes]]:
        """(position, hash) by position: `items`, at the speed at which a list is read."""
        return compress(enumerate(self._hashes), self._hashes)  # type: ignore[arg-type]  # without the gaps

    def __len__(self) -> int:
        return sum(value is not None for value in self._hashes)


def tree_reader(tree: Mapping[int, bytes]) -> Reader:
    """Reads hashes that are held in memory; raises KeyError where there is none."""
    return lambda positions: {position: tree[position] for position in positions}


def root(size: int, read: Reader) -> bytes:
    """The tree head over the first `size` leaves."""
    return _hashes([(0, size)], read)[0] if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: Reader) -> list[bytes]:
    """PATH(index, D[0:size]), lowest sibling first. Raises: ValueError unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return _hashes(ranges[::-1], read)


def consistency_proof(old: int, new: int, read: Reader) -> list[bytes]:
    """PROOF(old, D[0:new]). Raises: ValueError unless 0 < old <= new."""
    if not 0 < old <= new:
        raise ValueError("the older tree must be a non-empty part of the newer one")
    ranges = []
    start, end, whole = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, end))
    return _hashes(ranges[::-1], read)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """RFC 9162, 2.1.3.2: is the leaf with hash `leaf` number `index` of the tree with this head?"""
    if not 0 <= index < size:
        return False
    position, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            value = node_hash(sibling, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and value == expected_root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162, 2.1.4.2: is the tree with head `old_root` a prefix of the one with head `new_root`?"""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for value in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first, second = node_hash(value, first), node_hash(value, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, value)
        position, last = position >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(size: int) -> int:
    """The largest power of two below `size` (size > 1)."""
    return 1 << (size - 1).bit_length() - 1


def _hashes(ranges: Sequence[tuple[int, int]], read: Reader) -> list[bytes]:
    """MTH of each range of leaves, from one read."""
    covers = [[node.position for node in cover(start, end)] for start, end in ranges]
    stored = read([position for nodes in covers for position in nodes])
    return [_fold([stored[position] for position in nodes]) for nodes in covers]


def _fold(values: list[bytes]) -> bytes:
    """Join subtrees of shrinking size into one head, from the right."""
    head = values[-1]
    for value in reversed(values[:-1]):
        head = node_hash(value, head)
    return head
