"""What all stores check of a commit.

Rule: what every store refuses, whatever it is made of: commits that one store would take and another would not.
"""

from __future__ import annotations

from typing import List, Sequence, Union

from ..ports import INTEREST, Put, Remove

Write = Union[Put, Remove]


def checked_writes(writes: Sequence[object]) -> List[Write]:
    """The writes of a commit, each on a key of its own and all of the same side.

    TypeError for something else than Put and Remove. ValueError for a key that is named twice (no order is promised
    within a commit, and DynamoDB refuses it), and for INTEREST together with another table.
    """
    checked = [write for write in writes if isinstance(write, (Put, Remove))]
    if len(checked) != len(writes):
        raise TypeError("a commit is made of Put and Remove")
    if len({write.key for write in checked}) != len(checked):
        raise ValueError("a commit names a key twice")
    if len({write.key.table == INTEREST for write in checked}) > 1:
        raise ValueError("a commit can't span INTEREST and another table")
    return checked
