"""Mistakes of what the client shows: requests and replies, listeners, secrets, URLs."""

from __future__ import annotations

from kazoo.protocol import serialization as kazoo

from fk_backend.core.requests import Create, Delete, SetData
from fk_backend.providers import dispatch
from fk_backend.session import ops
from fk_kazoo import channel, connection, delivery, jute, listeners, url, values, wire

from .edited import Family

family = Family("surface")
edit, swap = family.edit, family.swap

WIRE = "tests/client/test_wire.py::"
ASKED = WIRE + "test_what_is_asked_is_asked[%s]"
COMES_BACK = WIRE + "test_what_comes_back_is_what_kazoo_reads"
NOTICES = "tests/client/test_notices.py::"
URL = "tests/client/test_url.py::"
L, C, D = channel.Channel, connection.DeploymentConnection, delivery.Delivery

# --- requests and replies -------------------------------------------------------------------------

edit(
    "a request of any size is sent",
    wire,
    "_by_its_bytes",
    "len(body) >= MAX_REQUEST_BYTES",
    "False",
    WIRE + "test_a_request_is_as_large_as_zookeeper_takes",
)
edit(
    "a request is one byte larger than ZooKeeper takes",
    wire,
    "_by_its_bytes",
    ">= MAX_REQUEST_BYTES",
    "> MAX_REQUEST_BYTES",
    WIRE + "test_a_request_is_as_large_as_zookeeper_takes",
)
edit(
    "what can't be sent is an error of the client",
    wire,
    "_by_its_bytes",
    "except UNSENDABLE:",
    "except ZeroDivisionError:",
    WIRE + "test_what_can_not_be_sent_is_a_bad_argument",
)
edit(
    "what is not known is something else",
    wire,
    "_by_its_bytes",
    "request.type not in ASKED",
    "False",
    WIRE + "test_what_is_not_known_is_unimplemented",
)
swap("a delete takes any version", ((jute.OPS, jute.DELETE, lambda r: Delete(r.string(), -1)),), ASKED % "delete")
swap(
    "a set takes any version",
    ((jute.OPS, jute.SET_DATA, lambda r: SetData(r.string(), r.buffer(), -1)),),
    ASKED % "set",
)
swap(
    "a create has no flags",
    ((jute.OPS, jute.CREATE, lambda r: Create(r.string(), r.buffer(), r.acl(), 0, 0, False)),),
    ASKED % "create",
)
swap(
    "a container is a plain node",
    ((jute.OPS, jute.CREATE_CONTAINER, jute.OPS[jute.CREATE2]),),
    ASKED % "container without its flag",
)
swap(
    "a read of children leaves no watch",
    ((jute.OPS, jute.GET_CHILDREN2, lambda r: ops.GetChildren(r.string(), False)),),
    ASKED % "children2",
)
edit("an ACL may do anything", jute.Reader, "acl", "Acl(self.int32(),", "Acl(self.int32() | 31,", ASKED % "set acl")
edit(
    "an app's own class gets no bytes",
    values,
    "answer",
    "kind in _OWN",
    "issubclass(kind, tuple(_OWN))",
    WIRE + "test_an_apps_own_class_gets_its_bytes",
)
swap(
    "the list that a call returned is another one's",
    ((values._VALUES, wire.GET_CHILDREN, lambda r, value: value[0]),),
    WIRE + "test_an_apps_own_class_gets_its_bytes",
)
AS_ITS_BYTES = WIRE + "test_what_is_taken_as_it_is_is_what_its_bytes_say"
CREATES = ((wire._AS_IT_IS, kazoo.Create), (wire._PARTS_AS_THEY_ARE, kazoo.Create))
edit("any ACL is open", wire, "_create", "acl != _OPEN_TO_ALL or ", "", AS_ITS_BYTES, also=CREATES)
edit("a number is cut", wire, "_is_int32", "-_INT32 <= number < _INT32", "True", AS_ITS_BYTES)
edit("any text is a path", wire, "_is_plain", " or not path.isascii()", "", AS_ITS_BYTES)
WHOLE = ((wire._AS_IT_IS, kazoo.Transaction),)
edit("a multi has no size", wire, "_multi", " and size < _ENOUGH_BYTES", "", AS_ITS_BYTES, also=WHOLE)
edit("an error has a body", wire, "reply", "result.code != Error.OK", "False", WIRE + "test_an_error_has_no_body")
edit(
    "a multi that failed looks as if it had been done",
    jute,
    "results",
    "if failed",
    "if False",
    WIRE + "test_each_part_of_a_multi_has_its_result_or_its_error",
)
edit(
    "an event says that the connection is gone",
    jute,
    "event",
    "pack(fired.kind, SYNC_CONNECTED)",
    "pack(fired.kind, 0)",
    WIRE + "test_an_event_is_one_of_kazoos",
    also=((wire, "event"),),
)
edit(
    "names are counted in characters",
    jute,
    "strings",
    "map(str.encode, values)",
    "(v.encode('latin-1', 'replace') for v in values)",
    COMES_BACK,
)

# --- listeners ------------------------------------------------------------------------------------

N = listeners.Notice
edit(
    "the connection waits for no listener",
    N,
    "deliver",
    "self.settled.wait(PATIENCE_S)",
    "pass",
    NOTICES + "test_the_connection_waits_until_the_listeners_are_done",
)
edit(
    "the connection waits for a listener without bound",
    N,
    "deliver",
    "wait(PATIENCE_S)",
    "wait()",
    NOTICES + "test_the_connection_waits_until_the_listeners_are_done",
)
edit(
    "listeners are told in any order",
    N,
    "_work",
    "self._before.done.wait()",
    "pass",
    NOTICES + "test_changes_are_told_one_after_the_other",
)
edit(
    "a listener that fails holds up the next",
    N,
    "_work",
    "self.done.set()",
    "self.settled.set()",
    NOTICES + "test_a_listener_that_fails_holds_up_nobody",
)
edit(
    "a listener that calls the client waits for itself",
    listeners,
    "calling",
    "notice.settled.set()",
    "pass",
    NOTICES + "test_the_connection_does_not_wait_for_a_listener_that_calls_the_client",
)

# --- secrets, URLs -----------------------------------------------------------------------------------------

edit(
    "a credential is logged when it is sent",
    L,
    "submit",
    "if request.type == wire.PING:",
    "log.info('%s', request)\n    if request.type == wire.PING:",
    "tests/client/test_secrets.py::test_no_log_has_a_credential",
)
edit(
    "what meets a bug is logged with all that it asks",
    dispatch.Dispatcher,
    "_set_aside",
    "waiting.message_id, failure",
    "waiting.delivery.body, failure",
    "tests/client/test_secrets.py::test_a_bug_met_with_a_secret_does_not_tell_it",
)
edit(
    "an error repeats a password",
    url,
    "_bad",
    '_CREDENTIALS.sub("//…@", text)',
    "text",
    "tests/client/test_secrets.py::test_no_message_repeats_a_password",
)
edit(
    "a URL may have a password in it",
    url,
    "_check_deployment",
    'if "@" in deployment',
    "if False",
    "tests/client/test_secrets.py::test_no_message_repeats_a_password",
    URL + "test_refused_and_says_what_to_do",
)
edit(
    "an option that is not known is overlooked",
    url,
    "_options",
    "scheme not in schemes",
    "False",
    URL + "test_refused_and_says_what_to_do",
)
edit(
    "the last of two options counts",
    url,
    "_options",
    "if name in options",
    "if False",
    URL + "test_refused_and_says_what_to_do",
)
edit(
    "a chroot may lead out of itself",
    url,
    "_chroot",
    'segment in ("", ".", "..") or ',
    "",
    URL + "test_refused_and_says_what_to_do",
)
edit("an escaped slash is one", url, "_chroot", ' or "/" in segment', "", URL + "test_refused_and_says_what_to_do")
edit("the chroot of hosts is forgotten", url, "_below", 'url.chroot + "".join', '"".join', URL + "test_resolve")
edit(
    "a namespace is forgotten",
    url.DeploymentUrl,
    "__str__",
    "if self.namespace != DEFAULT_NAMESPACE",
    "if False",
    URL + "test_resolve",
)
