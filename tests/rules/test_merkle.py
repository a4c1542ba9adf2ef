"""The tree against the known roots and proofs of RFC 6962 and 9162, and against what must hold of any tree."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.rules.merkle import (
    appended,
    consistency,
    inclusion,
    is_consistent,
    is_edge,
    is_included,
    leaf_hash,
    node_hash,
    root,
    root_of,
)

INPUTS = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
LEAVES = [leaf_hash(bytes.fromhex(data)) for data in INPUTS]

ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

INCLUSIONS = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}

CONSISTENCIES = {
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}


@pytest.mark.parametrize("size", range(9))
def test_the_known_roots(size: int) -> None:
    assert root(LEAVES[:size]).hex() == ROOTS[size]


def test_a_leaf_and_a_node_of_the_same_bytes_have_different_hashes() -> None:
    """The known ones: without the byte before it, a node could be shown as a leaf."""
    assert [leaf_hash(bytes.fromhex(data)) for data in INPUTS] == LEAVES
    assert leaf_hash(b"").hex() == ROOTS[1]
    assert node_hash(LEAVES[0], LEAVES[1]).hex() == ROOTS[2]
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


@pytest.mark.parametrize(("place", "size"), INCLUSIONS)
def test_the_known_inclusions(place: int, size: int) -> None:
    assert tuple(h.hex() for h in inclusion(LEAVES[:size], place)) == INCLUSIONS[place, size]


@pytest.mark.parametrize(("old", "size"), CONSISTENCIES)
def test_the_known_consistencies(old: int, size: int) -> None:
    assert tuple(h.hex() for h in consistency(LEAVES[:size], old)) == CONSISTENCIES[old, size]


MANY = [leaf_hash(bytes([n])) for n in range(71)]


def test_a_right_edge_grows_to_the_root_of_every_size() -> None:
    edge: list[bytes] = []
    for size in range(71):
        assert root_of(edge) == root(MANY[:size])
        assert is_edge(edge, size, root(MANY[:size]))
        assert not is_edge([*edge, MANY[0]], size, root(MANY[:size]))
        edge = appended(edge, size, MANY[size])


@pytest.mark.parametrize("size", range(71))
def test_every_leaf_of_every_size_is_included_and_every_beginning_consistent(size: int) -> None:
    leaves = MANY[:size]
    whole = root(leaves)
    for place in range(size):
        assert is_included(leaves[place], place, size, inclusion(leaves, place), whole)
    for old in range(size + 1):
        assert is_consistent(old, size, root(leaves[:old]), whole, consistency(leaves, old))


def test_a_root_alone_is_no_right_edge_of_three_leaves() -> None:
    """It has the right root, and nothing could be appended to it."""
    assert root_of([root(MANY[:3])]) == root(MANY[:3])
    assert not is_edge([root(MANY[:3])], 3, root(MANY[:3]))


def test_there_is_no_proof_beyond_the_tree() -> None:
    for place in (-1, 3):
        with pytest.raises(IndexError):
            inclusion(MANY[:3], place)
    for old in (-1, 4):
        with pytest.raises(IndexError):
            consistency(MANY[:3], old)


HASH = st.integers(0, 255).map(lambda n: sha256(bytes([n])).digest())


@settings(max_examples=400)
@given(size=st.integers(1, 70), data=st.data())
def test_another_leaf_place_size_path_or_root_is_not_included(size: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, size - 1))
    leaves, other = MANY[:size], data.draw(HASH)
    path, whole = inclusion(leaves, place), root(leaves)
    assert not is_included(other, place, size, path, whole)
    assert not is_included(leaves[place], place, size, path, other)
    assert not is_included(leaves[place], place, size, [*path, other], whole)
    assert not is_included(leaves[place], size, size, path, whole)
    assert not is_included(leaves[place], -1, size, path, whole)
    elsewhere = data.draw(st.integers(0, size - 1))
    assert is_included(leaves[place], elsewhere, size, path, whole) is (elsewhere == place)
    if path:
        cut = data.draw(st.integers(0, len(path) - 1))
        assert not is_included(leaves[place], place, size, path[:cut] + path[cut + 1 :], whole)
        assert not is_included(leaves[place], place, size, [*path[:cut], other, *path[cut + 1 :]], whole)


@settings(max_examples=400)
@given(size=st.integers(1, 70), data=st.data())
def test_another_beginning_or_path_is_not_consistent(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    other = data.draw(HASH)
    leaves = MANY[:size]
    path, before, whole = consistency(leaves, old), root(leaves[:old]), root(leaves)
    assert not is_consistent(old, size, other, whole, path)
    assert not is_consistent(old, size, before, whole, [*path, other])
    assert not is_consistent(size + 1, size, before, whole, path)
    assert not is_consistent(-1, size, before, whole, path)
    if old:
        assert not is_consistent(old, size, before, other, path)
    if path:
        cut = data.draw(st.integers(0, len(path) - 1))
        assert not is_consistent(old, size, before, whole, path[:cut] + path[cut + 1 :])
        assert not is_consistent(old, size, before, whole, [*path[:cut], other, *path[cut + 1 :]])


def test_a_cut_tail_and_a_changed_beginning_are_not_consistent() -> None:
    assert not is_consistent(6, 10, root(MANY[:6]), root(MANY[:10]), [])
    changed = [leaf_hash(b"changed"), *MANY[1:10]]
    assert not is_consistent(6, 10, root(MANY[:6]), root(changed), consistency(changed, 6))
