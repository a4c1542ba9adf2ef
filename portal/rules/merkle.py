"""The Merkle tree of RFC 9162: roots that grow by appending, and proofs that a stranger can check.

A hash is 32 bytes. A tree of `size` leaves is known by its right edge: the roots of its whole subtrees, largest first.
"""

from collections.abc import Sequence
from hashlib import sha256


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def appended(edge: Sequence[bytes], size: int, leaf: bytes) -> list[bytes]:
    """The right edge of a tree of `size` leaves after one more: full neighbours become one."""
    grown, carry = list(edge), leaf
    while size & 1:
        carry, size = node_hash(grown.pop(), carry), size >> 1
    return [*grown, carry]


def root_of(edge: Sequence[bytes]) -> bytes:
    """The root over a right edge; the hash of nothing for the empty tree."""
    if not edge:
        return sha256(b"").digest()
    *rest, found = edge
    for left in reversed(rest):
        found = node_hash(left, found)
    return found


def is_edge(edge: Sequence[bytes], size: int, root_: bytes) -> bool:
    """Is this the right edge of the tree of that size and root? (As many subtrees as the size has binary ones.)"""
    return len(edge) == size.bit_count() and root_of(edge) == root_


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, as RFC 9162 §2.1.1 defines it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return node_hash(root(leaves[:half]), root(leaves[half:]))


def inclusion(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """The path from the leaf at `place` to the root (§2.1.3.1). IndexError when there is no such place."""
    if not 0 <= place < len(leaves):
        raise IndexError(place)
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if place < half:
        return [*inclusion(leaves[:half], place), root(leaves[half:])]
    return [*inclusion(leaves[half:], place - half), root(leaves[:half])]


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """What shows that the first `old` leaves are the tree of that size (§2.1.4.1). Nothing for none or all of them."""
    if not 0 <= old <= len(leaves):
        raise IndexError(old)
    return _subproof(leaves, old, whole=True) if old else []


def _subproof(leaves: Sequence[bytes], old: int, *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    half = _half(len(leaves))
    if old <= half:
        return [*_subproof(leaves[:half], old, whole=whole), root(leaves[half:])]
    return [*_subproof(leaves[half:], old - half, whole=False), root(leaves[:half])]


def _half(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def is_included(leaf: bytes, place: int, size: int, path: Sequence[bytes], root_: bytes) -> bool:
    """Does the path lead from this leaf at this place to this root (§2.1.3.2)?"""
    if not 0 <= place < size:
        return False
    at, last, found = place, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(step, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root_


def is_consistent(old: int, size: int, old_root: bytes, root_: bytes, path: Sequence[bytes]) -> bool:
    """Is the tree of `old` leaves the beginning of the tree of `size` leaves (§2.1.4.2)?"""
    if not 0 <= old <= size:
        return False
    if old in (0, size):
        return not path and old_root == (root_ if old else sha256(b"").digest())
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == root_
