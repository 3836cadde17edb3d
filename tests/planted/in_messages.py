"""Mistakes in what travels: values, messages, and what is left of them when they are decoded."""

from __future__ import annotations

from fk_backend import codec, messages

from .edited import Family

family = Family("messages")
edit = family.edit

HERE = "tests/test_codec_messages.py::"
FIELD, MESSAGE = HERE + "test_every_field_of_every_request_is_what_it_has_to_be", HERE + "test_what_is_no_message"
BOUNDS, NO_VALUE = HERE + "test_there_are_bounds", HERE + "test_what_is_no_value"


def field(says: str, name: str, old: str, new: str, *tests: str) -> None:
    """A mistake in what checks a field, which is in a table too."""
    check = vars(messages)[name]
    fields = tuple((messages._FIELDS, key) for key, made in messages._FIELDS.items() if made is check)
    edit(says, messages, name, old, new, *tests, also=fields)


field("a number of any size is taken", "_int", " or not -_INT64 <= value < _INT64", "", FIELD)
field("a version may be larger than ZooKeeper's", "_int32", "if not -(1 << 31) <= number < 1 << 31", "if False", FIELD)
field("a number may be a fraction", "_int", "not isinstance(value, int)", "not isinstance(value, (int, float))", FIELD)
field("half a character is taken", "_str", "_HALF.search(value) is None", "True", FIELD)
field("anything is a truth", "_bool", "type(value) is not bool", "False", FIELD)
field("a blob may have less than nothing", "_data", "if size < 0", "if False", FIELD)
field(
    "a multi may hold anything",
    "_ops",
    "if not all(",
    "if not True or not all(True or ",
    "tests/functions/test_authority.py::test_a_multi_holds_what_changes_the_tree_and_nothing_else",
)
field("a multi is as long as it likes", "_ops", "_list(value, MAX_PARTS)", "_list(value, 1 << 60)", BOUNDS)
field("an ACL is as long as it likes", "_acl", "_list(value, MAX_PARTS)", "_list(value, 1 << 60)", BOUNDS)
edit(
    "a message is as long as it likes",
    messages,
    "decode",
    "_list(requests, MAX_REQUESTS)",
    "_list(requests, 1 << 60)",
    BOUNDS,
    MESSAGE,
)
edit(
    "what is missing of a request is made up",
    messages,
    "_request",
    "not (missing == 0 or (missing == 1 and kind in _LATER))",
    "False",
    FIELD,
)
edit("a message of another format is read", messages, "decode", "form != FORMAT", "False", MESSAGE)
edit(
    "a message may be numbered below nothing",
    messages,
    "decode",
    "0 <= number",
    "True",
    "tests/functions/test_authority.py::test_a_number_is_one",
)
edit(
    "a message may have the last number there is",
    messages,
    "decode",
    "number <= MAX_NUMBER",
    "True",
    "tests/functions/test_authority.py::test_a_number_is_one",
)
edit(
    "a request that the writer makes itself may be sent",
    messages,
    "_request",
    "_KINDS.get(value[0])",
    "{**_KINDS, 'Sweep': __import__('fk_backend.core.requests', fromlist=['']).Sweep}.get(value[0])",
    "tests/functions/test_authority.py::test_what_the_writer_asks_itself_is_no_request",
)
edit(
    "an inbox with a hyphen is another one's",
    messages,
    "split_id",
    "rpartition",
    "partition",
    HERE + "test_message_ids_split",
)
edit(
    "what is no note stops its reader",
    messages,
    "decode_note",
    "TypeError, ValueError, ",
    "",
    HERE + "test_what_is_no_note",
)
edit("bytes left over are overlooked", codec, "loads", "offset != len(data)", "False", NO_VALUE)
edit("a value is as deep as it likes", codec, "loads", "(ValueError, RecursionError)", "ValueError", NO_VALUE)
edit(
    "bytes may begin before they do",
    codec._Decoder,
    "_resolve",
    "0 <= length",
    "True",
    NO_VALUE,
    beside=((codec, "_decoders", []),),
)
edit(
    "what else a reference says is overlooked",
    codec._Decoder,
    "_resolve",
    "len(reference) != 1 or ",
    "",
    NO_VALUE,
    beside=((codec, "_decoders", []),),
)
edit(
    "what could not be written is written with the next",
    codec,
    "encoded",
    "text = encoder.encode",
    "_encoders.append(encoder); text = encoder.encode",
    HERE + "test_a_value_that_can_not_be_written_leaves_nothing_to_the_next",
    beside=((codec, "_encoders", []),),
)
