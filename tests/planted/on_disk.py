"""Mistakes in what a host keeps on disk: its outbox, the files of a deployment, in which order they are written."""

from __future__ import annotations

from fk_backend.providers.local import database, files, outbox, statements, store

from .edited import Family

family = Family("disk")
edit = family.edit

OUTBOX = "tests/providers/local/test_outbox.py::"
FILES = "tests/providers/local/test_files.py::"
FAILURES = "tests/providers/local/test_failures.py::"
ABSENT = "tests/providers/local/test_absent.py::"
ORDER = "tests/providers/local/test_file_order.py::"
O = outbox.Outbox  # noqa: E741

# --- what the host keeps --------------------------------------------------------------------------

edit(
    "numbers begin again with each host",
    O,
    "__init__",
    "epoch << 32",
    "0",
    OUTBOX + "test_numbers_grow_from_host_to_host_also_when_nothing_was_saved",
)
edit(
    "a record that is damaged is delivered",
    outbox,
    "_records",
    " or zlib.crc32(part) != checksum",
    "",
    OUTBOX + "test_a_record_that_is_damaged_ends_the_file",
)
edit(
    "what is acknowledged is delivered by the next host",
    O,
    "acknowledge",
    "self._done.append((inbox, last))",
    "pass",
    OUTBOX + "test_what_is_acknowledged_is_gone",
)
edit(
    "what comes after what is acknowledged is dropped",
    O,
    "_drop",
    "kept[0].seq <= last",
    "True",
    OUTBOX + "test_what_is_acknowledged_is_gone",
)
edit(
    "what is forgotten is found by the next host",
    O,
    "forget",
    "self._done.append((inbox, _ALL))",
    "pass",
    OUTBOX + "test_what_is_forgotten_is_gone_with_all_that_is_known_of_it",
)
edit(
    "nothing is forgotten for its age",
    O,
    "_rewrite",
    "if when > at - FORGET_AFTER_S",
    "",
    ABSENT + "test_what_was_given_up_long_ago_is_no_longer_noted",
)
edit(
    "the next host does not know what was answered",
    O,
    "_keep",
    "self.upto[inbox] = kept.upto",
    "pass",
    OUTBOX + "test_what_was_saved_is_there_for_the_next_host",
)
edit(
    "writing the file anew loses what waits",
    O,
    "_rewrite",
    "for inbox, kept in self._kept.items()",
    "for inbox, kept in ()",
    OUTBOX + "test_the_file_is_written_anew_when_it_has_grown_and_nothing_is_lost",
)
edit(
    "the file grows for ever",
    O,
    "save",
    "self._size > self._compact_at",
    "False",
    OUTBOX + "test_the_file_is_written_anew_when_it_has_grown_and_nothing_is_lost",
)
edit(
    "what a failure left half written stays",
    outbox,
    "_write",
    "os.pwrite(file, memoryview(content)[written:], at + written)",
    "os.pwrite(file, memoryview(content)[written:], os.fstat(file).st_size)",
    OUTBOX + "test_what_a_failure_left_half_written_is_written_over",
)
edit(
    "somebody's file is taken for ours",
    outbox,
    "_read",
    "not found.startswith(MAGIC)",
    "False",
    OUTBOX + "test_what_is_no_outbox_is_left_alone",
)

# --- files, transactions --------------------------------------------------------------------------

edit(
    "a commit does not wait for the disk",
    database,
    "connect",
    '"FULL" if durable else "NORMAL"',
    '"NORMAL"',
    FILES + "test_what_commits_wait_for",
)
edit(
    "others on the machine may read it",
    database,
    "create",
    "mode_of(os.path.dirname(path))",
    "0o644",
    FILES + "test_only_the_user_gets_in",
)
edit(
    "a condition that does not hold leaves half a commit",
    statements,
    "write_all",
    "except BaseException as error",
    "except ZeroDivisionError as error",
    FAILURES + "test_an_exception_of_ours_undoes_the_transaction",
    also=(store,),
)
edit(
    "a full disk at the commit may have had effect",
    database,
    "explain",
    "StorageFull(text) if definite else Unknown(text)",
    "Unknown(text)",
    FAILURES + "test_a_commit_that_fails",
    FAILURES + "test_errors_in_our_words",
)
edit(
    "an error of the disk at the commit says that nothing happened",
    database,
    "explain",
    "StorageFull(text) if definite else Unknown(text)",
    "StorageFull(text)",
    FAILURES + "test_a_commit_that_fails",
    FAILURES + "test_errors_in_our_words",
)
edit(
    "a store that was closed opens again",
    store.LocalStore,
    "close",
    "self._suspended = False",
    "self._suspended = True",
    FAILURES + "test_a_closed_store_is_unavailable",
)
STORE = "tests/providers/local/test_store.py::TestStore::"
edit(
    "a put at a rev does not look at it",
    statements,
    "_part",
    "sql.replace, (rev, owner, body, partition, sort, expect)",
    "sql.put, (partition, sort, rev, owner, body)",
    STORE + "test_expect_names_the_rev_it_has_now",
)
edit(
    "a deployment is seen half made",
    files,
    "_create",
    'Place(tempfile.mkdtemp(prefix=".new-", dir=above))',
    "Place(os.makedirs(place.directory, exist_ok=True) or place.directory)",
    FILES + "test_all_who_make_it_at_once_get_the_same_one",
)

edit(
    "a deployment has its name before its files have theirs",
    files,
    "_create",
    "_sync_directory(new.directory)",
    "pass",
    ORDER + "test_a_deployment_gets_its_name_last",
)
edit(
    "a power cut takes the name of a deployment that is in use",
    files,
    "_create",
    "_sync_directory(above)",
    "pass",
    ORDER + "test_a_deployment_gets_its_name_last",
)
edit(
    "a directory that is to reach the disk is only opened",
    files,
    "_sync_directory",
    "os.fsync(descriptor)",
    "pass",
    ORDER + "test_a_deployment_gets_its_name_last",
)
edit(
    "an outbox takes the last one's place before it is on the disk",
    O,
    "_rewrite",
    "os.fsync(file)",
    "pass",
    ORDER + "test_an_outbox_takes_the_place_of_the_last_one_when_it_is_on_the_disk",
)
edit(
    "an outbox is written anew over what it holds",
    O,
    "_rewrite",
    'new = self._path + ".new"',
    "new = self._path",
    ORDER + "test_an_outbox_takes_the_place_of_the_last_one_when_it_is_on_the_disk",
)
