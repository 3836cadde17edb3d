"""Paths: the same ones are valid as in ZooKeeper (the differential tests ask the server itself about these)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fk_backend.core import paths

names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="/"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
valid_paths = st.lists(names, max_size=5).map(lambda parts: "/" + "/".join(parts))


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/b", "/...", "/.a", "/a.", "/a/..b", "/ ", "/é", "/\u00a0", "/\uf900", "/\uffef"]
)
def test_valid(path: str) -> None:
    paths.validate(path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "length"),
        ("a", "start with /"),
        ("/a/", "end with /"),
        ("//", "end with /"),
        ("/a//b", "empty node name"),
        ("/.", "relative"),
        ("/..", "relative"),
        ("/a/./b", "relative"),
        ("/a/..", "relative"),
        ("/a\0", "null character"),
        ("/a\x01", "invalid character @2"),
        ("/\x1f", "invalid character @1"),
        ("/\x7f", "invalid character @1"),
        ("/\x9f", "invalid character @1"),
        ("/\ud800", "invalid character @1"),
        ("/\uf8ff", "invalid character @1"),
        ("/\ufff0", "invalid character @1"),
        ("/\uffff", "invalid character @1"),
        ("/\U0001f600", "invalid character @1"),
    ],
)
def test_invalid(path: str, why: str) -> None:
    assert why in (paths.reason(path) or "")
    with pytest.raises(ValueError, match="caused by"):
        paths.validate(path)


@given(st.text("/a.:-_9Z\0\u00e9\n ", max_size=8))
def test_valid_is_what_there_is_no_reason_against(path: str) -> None:
    assert paths.is_valid(path) == (paths.reason(path) is None)


@given(valid_paths)
def test_a_path_is_its_parent_and_its_name(path: str) -> None:
    assert paths.is_valid(path)
    if path != "/":
        assert paths.join(paths.parent(path), paths.name(path)) == path
        assert paths.ancestors(path) == [paths.parent(path), *paths.ancestors(paths.parent(path))]


def test_the_root_is_its_own_parent_and_has_no_ancestors() -> None:
    assert (paths.parent("/"), paths.name("/"), paths.ancestors("/")) == ("/", "", [])
    assert paths.ancestors("/a/b") == ["/a", "/"]


def test_a_path_without_a_slash_has_no_parent() -> None:
    with pytest.raises(ValueError):
        paths.parent("a")
