"""The tree against the public vectors of RFC 6962's reference implementation, and against its definition."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError

from orchestration.audit import merkle

# certificate-transparency reference vectors: eight leaves and the head of each tree over the first n.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (leaf, tree size) → inclusion proof
PATHS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
# (old size, new size) → consistency proof
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def reference_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 6962 defines it, recursively."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return merkle.leaf_hash(leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return merkle.node_hash(reference_root(leaves[:k]), reference_root(leaves[k:]))


def tree(leaves: Sequence[bytes]) -> dict[int, bytes]:
    stored: dict[int, bytes] = {}
    for index, leaf in enumerate(leaves):
        stored |= merkle.grow(index, merkle.leaf_hash(leaf), stored)
    return stored


def reader(stored: dict[int, bytes]) -> merkle.Reader:
    return lambda positions: {position: stored[position] for position in positions}


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_equal_the_reference_vectors(size: int) -> None:
    assert merkle.root(size, reader(tree(LEAVES))).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.root(0, reader({})).hex() == expected


@pytest.mark.parametrize(("place", "path"), PATHS.items(), ids=str)
def test_inclusion_proofs_equal_the_reference_vectors(place: tuple[int, int], path: list[str]) -> None:
    index, size = place
    found = merkle.inclusion_proof(index, size, reader(tree(LEAVES)))
    assert [value.hex() for value in found] == path


@pytest.mark.parametrize(("sizes", "path"), CONSISTENCY.items(), ids=str)
def test_consistency_proofs_equal_the_reference_vectors(sizes: tuple[int, int], path: list[str]) -> None:
    found = merkle.consistency_proof(*sizes, reader(tree(LEAVES)))
    assert [value.hex() for value in found] == path


leaf_lists = st.lists(st.binary(max_size=6), min_size=1, max_size=70)


@given(leaf_lists, st.data())
def test_every_leaf_is_proven_and_no_other_is(leaves: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    read = reader(tree(leaves))
    head = merkle.root(size, read)
    proof = merkle.inclusion_proof(index, size, read)
    leaf = merkle.leaf_hash(leaves[index])
    assert head == reference_root(leaves[:size])
    assert merkle.verify_inclusion(leaf, index, size, proof, head)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"another leaf"), index, size, proof, head)
    assert not merkle.verify_inclusion(leaf, index, size, [*proof, leaf], head)
    assert not merkle.verify_inclusion(leaf, size, size, proof, head)
    assert len(proof) <= max(0, (size - 1).bit_length())
    if proof:
        assert not merkle.verify_inclusion(leaf, index, size, proof[:-1], head)
        assert not merkle.verify_inclusion(leaf, index, size, [bytes(32), *proof[1:]], head)


@given(leaf_lists, st.data())
def test_growth_is_proven_and_a_rewritten_past_is_not(leaves: list[bytes], data: st.DataObject) -> None:
    new = data.draw(st.integers(1, len(leaves)))
    old = data.draw(st.integers(1, new))
    read = reader(tree(leaves))
    old_root, new_root = merkle.root(old, read), merkle.root(new, read)
    proof = merkle.consistency_proof(old, new, read)
    assert merkle.verify_consistency(old, new, old_root, new_root, proof)
    changed = data.draw(st.integers(0, old - 1))
    rewritten = [*leaves[:changed], b"rewritten", *leaves[changed + 1 :]]
    other = reader(tree(rewritten))
    other_root = merkle.root(new, other)
    other_proof = merkle.consistency_proof(old, new, other)
    assert not merkle.verify_consistency(old, new, old_root, other_root, other_proof)
    assert not merkle.verify_consistency(old, new, old_root, new_root, [*proof, bytes(32)])
    if proof:
        assert not merkle.verify_consistency(old, new, old_root, new_root, proof[1:])


@given(leaf_lists, st.data())
def test_the_verifier_of_sigstore_agrees(leaves: list[bytes], data: st.DataObject) -> None:
    """`verify_merkle_inclusion` of sigstore-python, which nobody here wrote, on good and on bad proofs."""
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    read = reader(tree(leaves))
    head, proof = merkle.root(size, read), merkle.inclusion_proof(index, size, read)
    verify_merkle_inclusion(rekor_entry(leaves[index], index, size, proof, head))
    bad = [
        rekor_entry(leaves[index] + b"!", index, size, proof, head),
        rekor_entry(leaves[index], index, size, [*proof, head], head),
        rekor_entry(leaves[index], index, size, proof, merkle.leaf_hash(head)),
    ]
    if proof:
        bad.append(rekor_entry(leaves[index], index, size, [bytes(32), *proof[1:]], head))
    for entry in bad:
        with pytest.raises(VerificationError):
            verify_merkle_inclusion(entry)


def rekor_entry(leaf: bytes, index: int, size: int, proof: list[bytes], head: bytes) -> Any:
    """The part of a `TransparencyLogEntry` that the verifier reads."""
    inclusion = SimpleNamespace(log_index=index, tree_size=size, hashes=proof, root_hash=head)
    return SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=leaf))


@given(leaf_lists)
def test_pushing_on_the_right_edge_is_growing(leaves: list[bytes]) -> None:
    grown = tree(leaves)
    edge: list[bytes] = []
    pushed: dict[int, bytes] = {}
    for index, leaf in enumerate(leaves):
        pushed |= merkle.push(edge, index, merkle.leaf_hash(leaf))
        assert edge == [grown[node.position] for node in merkle.cover(0, index + 1)]
    assert pushed == grown


@given(st.lists(st.binary(max_size=6), max_size=70))
def test_a_tree_in_memory_has_the_hashes_that_growing_gives(leaves: list[bytes]) -> None:
    whole = merkle.Tree([merkle.leaf_hash(leaf) for leaf in leaves])
    assert dict(whole) == tree(leaves)
    assert (len(whole), whole.size) == (len(tree(leaves)), len(leaves))
    for position in (-1, 2 * len(leaves), 2 * len(leaves) + 1):
        assert position not in whole


@given(st.integers(0, 2**40))
def test_a_node_is_found_at_its_position(position: int) -> None:
    node = merkle.node_at(position)
    assert node.position == position
    if node.level:
        left, right = merkle.children(node)
        assert left.position < position < right.position


@given(st.integers(1, 500))
def test_only_complete_subtrees_are_stored(size: int) -> None:
    stored = tree([b""] * size)
    assert len(stored) == 2 * size - size.bit_count()
    assert all((node.number + 1) << node.level <= size for node in map(merkle.node_at, stored))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        merkle.inclusion_proof(index, size, reader(tree(LEAVES)))


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_no_consistency_with_an_empty_or_longer_past(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="older tree"):
        merkle.consistency_proof(old, new, reader(tree(LEAVES)))
    assert not merkle.verify_consistency(old, new, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
