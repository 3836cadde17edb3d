"""Deployment URLs: understood completely or refused with a message that says what to do."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo.exceptions import ConfigurationError

from fk_backend.errors import BadUrl
from fk_kazoo.exceptions import DeploymentConfigurationError
from fk_kazoo.url import DeploymentUrl, parse, resolve

UNDERSTOOD = [
    ("memory://a", DeploymentUrl("memory", "a")),
    ("local://a-b_c.9", DeploymentUrl("local", "a-b_c.9")),
    ("LOCAL://Name", DeploymentUrl("local", "Name")),
    ("local://a/", DeploymentUrl("local", "a")),
    ("local://a/b", DeploymentUrl("local", "a", "/b")),
    ("local://a/b/c/", DeploymentUrl("local", "a", "/b/c")),
    ("local://a/b@c:d", DeploymentUrl("local", "a", "/b@c:d")),
    ("local://a/b%20c/%C3%A9%3F%23%25", DeploymentUrl("local", "a", "/b c/é?#%")),
    ("local://a/é", DeploymentUrl("local", "a", "/é")),
    ("local://a/...", DeploymentUrl("local", "a", "/...")),
    ("local://a?namespace=orders", DeploymentUrl("local", "a", namespace="orders")),
    ("local://a/?namespace=default", DeploymentUrl("local", "a")),
    ("local://a?namespace=%6Frders", DeploymentUrl("local", "a", namespace="orders")),
    ("aws://a?region=eu-central-1", DeploymentUrl("aws", "a", options=(("region", "eu-central-1"),))),
    (
        "aws://a/b?region=eu-west-1&namespace=n&endpoint_url=http://localhost:4566/x",
        DeploymentUrl("aws", "a", "/b", "n", (("endpoint_url", "http://localhost:4566/x"), ("region", "eu-west-1"))),
    ),
    ("postgresql://", DeploymentUrl("postgresql", "")),
    ("postgresql://h", DeploymentUrl("postgresql", "h")),
    ("POSTGRES://me@h:5432/db", DeploymentUrl("postgresql", "me@h:5432/db")),
    ("postgresql://me%40x@h:1,[::1]:2,k/d%2Fb/a/b/", DeploymentUrl("postgresql", "me%40x@h:1,[::1]:2,k/d%2Fb", "/a/b")),
    ("postgresql:///db/a?namespace=n", DeploymentUrl("postgresql", "/db", "/a", "n")),
    ("postgresql:///?service=x", DeploymentUrl("postgresql", "", options=(("service", "x"),))),
    (
        "postgresql://h/db?sslmode=require&durability=standby",
        DeploymentUrl("postgresql", "h/db", options=(("durability", "standby"), ("sslmode", "require"))),
    ),
]

REFUSED = [
    ("", "no scheme"),
    ("a", "no scheme"),
    ("zk1:2181,zk2:2181/a", "no scheme"),
    ("://a", "scheme '' is unknown"),
    ("http://a", "one of memory, local, aws"),
    ("sqlite://a", "one of memory, local, aws"),
    ("local://", "names no deployment"),
    ("local:///a", "names no deployment"),
    ("local://?namespace=a", "names no deployment"),
    ("local://me:secret@a", "do not belong in a URL"),
    ("local://me@a", "do not belong in a URL"),
    ("local://me:sec/ret@a", "no port"),
    ("postgresql://me:sec/ret@a/b", "host[:port]"),
    ("postgresql://me:1/secret@a/b", "%2F"),
    ("postgresql://me:secret@a:b/c", "host[:port]"),
    ("postgresql://me:secret@a,b;c/d", "host[:port]"),
    ("postgresql://:secret@a/b", "no user"),
    ("postgresql://a//b", "name it where there is a chroot"),
    ("postgresql://a/b//c", "empty segment"),
    ("postgresql://a/b?password=secret&colour=1", "no option 'colour'"),
    ("postgresql://a/b?password=secret&password=secret", "twice"),
    ("postgresql://a/b?durability=some", "disk or standby"),
    ("postgresql://a/b?options=-c%20x", "no option 'options'"),
    ("postgresql://a/%FF", "UTF-8"),
    ("local://a?sslmode=require", "no option 'sslmode'"),
    ("local://a:1", "no port"),
    ("local://a:", "no port"),
    ("local://.a", "letter or digit first"),
    ("local://..", "letter or digit first"),
    ("local://a%20b", "letters, digits"),
    ("local://a,b", "letters, digits"),
    ("local://" + "a" * 65, "1 to 64"),
    ("local://é", "letters, digits"),
    ("local://a/#b", "fragment"),
    ("local://a#", "fragment"),
    ("local://a/b c", "white space"),
    ("local://a/b\n", "white space"),
    ("local://a/b\x00", "white space"),
    ("local://a//", "empty segment"),
    ("local://a//b", "empty segment"),
    ("local://a/b//", "empty segment"),
    ("local://a/.", "no '.' or '..'"),
    ("local://a/b/../c", "no '.' or '..'"),
    ("local://a/%2e%2E", "no '.' or '..'"),
    ("local://a/b%2Fc", "no escaped slash"),
    ("local://a/%00", "ZooKeeper does not allow"),
    ("local://a/%EF%BF%BF", "ZooKeeper does not allow"),
    ("local://a/%", "two hexadecimal digits"),
    ("local://a/%4", "two hexadecimal digits"),
    ("local://a/%zz", "two hexadecimal digits"),
    ("local://a/%FF", "UTF-8"),
    ("local://a/\ud800", "UTF-8"),
    ("local://a?", "no option ''"),
    ("local://a?color=red", "no option 'color'; it has: namespace"),
    ("local://a?region=eu-central-1", "no option 'region'"),
    ("memory://a?endpoint_url=http://b", "no option 'endpoint_url'"),
    ("aws://a?colour=1", "namespace, region, endpoint_url"),
    ("local://a?namespace=b&namespace=b", "twice"),
    ("local://a?namespace=b&", "no option ''"),
    ("local://a?namespace", "namespace=VALUE"),
    ("local://a?namespace=", "namespace=VALUE"),
    ("local://a?namespace=b/c", "namespace=VALUE"),
    ("local://a?namespace=" + "b" * 65, "1 to 64"),
    ("local://a?namespace=%zz", "two hexadecimal digits"),
    ("local://a?NAMESPACE=b", "no option 'NAMESPACE'"),
    ("aws://a?region=Frankfurt", "region=VALUE"),
    ("aws://a?endpoint_url=localhost:4566", "endpoint_url=VALUE"),
    ("aws://a?endpoint_url=http://me:secret@b", "endpoint_url=VALUE"),
]


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD)
def test_understood(text: str, expected: DeploymentUrl) -> None:
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_refused_and_says_what_to_do(text: str, says: str) -> None:
    with pytest.raises(BadUrl) as raised:
        parse(text)
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "sec/ret" not in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_a_long_url_is_cut_in_the_message() -> None:
    with pytest.raises(BadUrl) as raised:
        parse("ftp://" + "a" * 10_000)
    assert len(str(raised.value)) < 400


def test_value_object() -> None:
    url = parse("aws://a?region=eu-central-1")
    assert url.option("region") == "eu-central-1"
    assert url.option("endpoint_url") is None
    assert hash(url) == hash(parse("aws://a?region=eu-central-1"))
    with pytest.raises(AttributeError):
        url.scheme = "local"  # type: ignore[misc]


_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
_forbidden = [chr(c) for c in [*range(0x20), *range(0x7F, 0xA0), *range(0xE000, 0xF900), *range(0xFFF0, 0x10000), 0x2F]]
_segments = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=_forbidden), min_size=1, max_size=10
).filter(lambda segment: segment not in (".", ".."))
_chroots = st.lists(_segments, max_size=4).map(lambda segments: "".join("/" + segment for segment in segments))
_namespaces = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
_plain = st.builds(DeploymentUrl, st.sampled_from(["memory", "local", "aws"]), _names, _chroots, _namespaces)


@given(_plain)
def test_str_round_trips(url: DeploymentUrl) -> None:
    assert parse(str(url)) == url


@given(
    _names,
    _chroots,
    st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    st.from_regex(r"https?://[a-z&=%+;]{1,9}(:[0-9]{1,4})?(/[a-z&=%+;]{0,9})?", fullmatch=True),
)
def test_str_round_trips_with_options(name: str, chroot: str, region: str, endpoint_url: str) -> None:
    url = DeploymentUrl("aws", name, chroot, options=(("endpoint_url", endpoint_url), ("region", region)))
    assert parse(str(url)) == url


@given(st.text(max_size=30) | st.text("/?#%&=@:.-ax2", max_size=15).map(lambda tail: "local://" + tail))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        url = parse(text)
    except BadUrl:
        return
    assert parse(str(url)) == url


def test_a_password_is_in_no_text_but_the_one_for_another_process() -> None:
    for text in ("postgresql://me:se%2Fcret@h/db/a?namespace=n", "postgresql://me@h/db/a?namespace=n&password=se/cret"):
        url = parse(text)
        assert url.secret == url.settings()["password"] == "se/cret"
        assert "cret" not in str(url) + repr(url) and parse(url.whole()) == url != parse(str(url))
        below = resolve([text, "/b"], {}).url
        assert (below.chroot, below.secret) == ("/a/b", "se/cret")


@given(st.text("/?#%&=@:.-,a2[]", max_size=20).map(lambda tail: "postgresql://me:hidden@h" + tail))
def test_any_text_with_a_password_is_understood_or_refused_without_it(text: str) -> None:
    try:
        url = parse(text)
    except BadUrl as error:
        assert "hidden" not in str(error)
        return
    assert parse(url.whole()) == url and "hidden" not in str(url) + repr(url)


ENVIRONMENT = {"FK_KAZOO_URL": "memory://m/base?namespace=n"}


@pytest.mark.parametrize(
    ("hosts", "environ", "url", "addresses"),
    [
        (None, {}, "local://default", []),
        (None, {"FK_KAZOO_URL": ""}, "local://default", []),
        (None, ENVIRONMENT, "memory://m/base?namespace=n", []),
        ("local://a/b", {}, "local://a/b", []),
        (" local://a/b\n", {}, "local://a/b", []),
        ("local://a/b", ENVIRONMENT, "local://a/b", []),
        (["local://a/b"], {}, "local://a/b", []),
        (["local://a/b", "/c"], {}, "local://a/b/c", []),
        ("zk", ENVIRONMENT, "memory://m/base?namespace=n", [("zk", 2181)]),
        ("zk:1,[::1]:2/c", ENVIRONMENT, "memory://m/base/c?namespace=n", [("zk", 1), ("::1", 2)]),
        ("zk:1/", ENVIRONMENT, "memory://m/base?namespace=n", [("zk", 1)]),
        ("zk:1//c//d/", ENVIRONMENT, "memory://m/base/c/d?namespace=n", [("zk", 1)]),
        ("zk/c", {"FK_KAZOO_URL": " local://a\n"}, "local://a/c", [("zk", 2181)]),
        (["zk1:1", "zk2", "/c"], ENVIRONMENT, "memory://m/base/c?namespace=n", [("zk1", 1), ("zk2", 2181)]),
        (("zk1:1", "zk2"), ENVIRONMENT, "memory://m/base?namespace=n", [("zk1", 1), ("zk2", 2181)]),
    ],
)
def test_resolve(hosts: Any, environ: Dict[str, str], url: str, addresses: List[object]) -> None:
    found = resolve(hosts, environ)
    assert str(found.url) == url
    assert found.hosts == addresses


@pytest.mark.parametrize("environ", [{}, ENVIRONMENT])
@pytest.mark.parametrize("hosts", ["/nosuchhost/a", "", [], "zk:port"])
def test_hosts_that_kazoo_refuses_are_value_errors(hosts: Any, environ: Dict[str, str]) -> None:
    with pytest.raises(ValueError):
        resolve(hosts, environ)


@pytest.mark.parametrize("hosts", ["zk/a/../b", "zk/a\x01", ["local://a", "/b/./c"]])
def test_chroots_that_are_no_paths_are_value_errors(hosts: Any) -> None:
    with pytest.raises(ValueError):
        resolve(hosts, ENVIRONMENT)


@pytest.mark.parametrize("hosts", ["zk1:2181,zk2:2181/a", ["zk1"]])
@pytest.mark.parametrize("configured", [None, "", "  "])
def test_hosts_without_a_deployment_name_the_variable(hosts: Any, configured: Optional[str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        resolve(hosts, {} if configured is None else {"FK_KAZOO_URL": configured})
    assert isinstance(raised.value, DeploymentConfigurationError)
    assert "FK_KAZOO_URL" in str(raised.value)


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(BadUrl, match=r"environment variable FK_KAZOO_URL.*that is a ZooKeeper"):
        resolve(None, {"FK_KAZOO_URL": "zk://a"})


@pytest.mark.parametrize("hosts", [["local://a", "local://b"], ["zk1", "local://b"], ["local://a", "/b", "/c"]])
def test_more_than_one_place(hosts: List[str]) -> None:
    with pytest.raises(BadUrl):
        resolve(hosts, {})
