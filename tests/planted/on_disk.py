"""Mistakes in what is kept on disk: the files of a deployment, in which order they are written."""

from __future__ import annotations

from fk_backend.providers.local import database, files, statements, store

from .edited import Family

family = Family("disk")
edit = family.edit

FILES = "tests/providers/local/test_files.py::"
FAILURES = "tests/providers/local/test_failures.py::"
ORDER = "tests/providers/local/test_file_order.py::"

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
