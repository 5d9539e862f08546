"""Are the events the ones that were hashed, and does the Merkle tree stand on them?

Belongs here: bytes and hashes. Must not be here: what events mean (`verify`), or what was signed about the
tree (`verify_checkpoints`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap, zip_longest
from operator import eq
from typing import NamedTuple

from sqlalchemy import Connection

from orchestration.audit import database, merkle
from orchestration.audit import tables as t
from orchestration.audit.events import commitment
from orchestration.audit.findings import Count, Problem
from orchestration.audit.log import SALT_BYTES

_HASHED = ("seq", "receipt_id", "salt", "content")
CHANGED = "its content is not what was hashed when it was written"


class Leaves(NamedTuple):
    """The log as hashes: how long it is, which events are not authentic, and their tree.

    The tree goes as far as the numbering has no gap.
    """

    size: int
    broken: frozenset[int]
    tree: merkle.Tree
    nodes: Count


def check(connection: Connection, problems: list[Problem]) -> Leaves:
    """Hash everything again; what is found is added to `problems`."""
    leaves: list[bytes] = []
    broken: set[int] = set()
    following, leaf_hash = 0, merkle.leaf_hash
    for seq, receipt_id, salt, content in database.rows(connection, t.events, _HASHED):
        if seq != following:
            problems += [Problem(f"event {missing}", "missing") for missing in range(following, seq)]
            broken.update(range(following, seq))
        try:
            leaf = leaf_hash(commitment(content, salt))
            authentic = leaf.hex() == receipt_id and len(salt) == SALT_BYTES
        except TypeError:  # text in place of bytes, which SQLite lets anybody store
            leaf, authentic = leaf_hash(str(content).encode()), False
        if len(leaves) == seq:
            leaves.append(leaf)
        if not authentic:
            problems.append(Problem(f"event {seq}", CHANGED))
            broken.add(seq)
        following = seq + 1
    tree = merkle.Tree(leaves)
    return Leaves(following, frozenset(broken), tree, _nodes(connection, tree, following, problems))


def _nodes(connection: Connection, tree: merkle.Tree, size: int, problems: list[Problem]) -> Count:
    pairs = zip_longest(database.rows(connection, t.nodes), tree.in_order())
    if tree.size == size and all(starmap(eq, pairs)):
        expected = sum(size >> level for level in range(size.bit_length()))
        return Count("nodes", expected, expected, "consistent")
    return _compare(connection, tree, size, problems)


def _compare(connection: Connection, tree: merkle.Tree, size: int, problems: list[Problem]) -> Count:
    """Each leaf against its event, each inner node against its own two halves: a change shows where it is."""
    stored = dict(map(tuple, database.rows(connection, t.nodes)))
    wrong = 0
    for position in sorted(tree.keys() | stored.keys()):
        node = merkle.node_at(position)
        what = _node_problem(node, stored, tree, size)
        if what:
            first, last = node.number << node.level, ((node.number + 1) << node.level) - 1
            where = f"event {first}" if node.level == 0 else f"tree node over events {first} to {last}"
            problems.append(Problem(where, what))
            wrong += position in tree
    return Count("nodes", len(tree) - wrong, len(tree), "consistent")


def _node_problem(node: merkle.Node, stored: Mapping[int, bytes], tree: merkle.Tree, size: int) -> str | None:
    value = stored.get(node.position)
    if value is None:
        return "the tree has no hash for it"
    if (node.number + 1) << node.level > size:
        return "the tree has a hash for events that the log does not hold"
    if node.level == 0:
        return (
            None if tree.get(node.position, value) == value else "it is not the one the tree was built over"
        )
    left, right = (stored.get(half.position) for half in merkle.children(node))
    if not (isinstance(left, bytes) and isinstance(right, bytes)):
        return "a part of the tree below it is missing"
    return None if merkle.node_hash(left, right) == value else "it is not the hash of its two halves"
