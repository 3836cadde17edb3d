"""Which of ZooKeeper's tests run, and each that says nothing about a server which is not in the test's own process."""

from __future__ import annotations

from typing import Dict, Optional

CLASSES = """GetAllChildrenNumberTest GetEphemeralsTest RemoveWatchesCmdTest RemoveWatchesTest ZKUtilTest ZooKeeperTest
test.ACLRootTest test.AsyncOpsTest test.AuthTest test.ChrootTest test.ClientTest test.CreateTest test.GetChildren2Test
test.MultiAsyncTransactionTest test.MultiOperationTest test.NullDataTest test.PersistentRecursiveWatcherTest
test.PersistentWatcherTest test.SessionInvalidationTest test.SessionTimeoutTest test.StatTest test.SyncCallTest
test.WatcherFuncTest test.WatcherTest server.CreateTTLTest""".split()

_STOPS = "stops and starts the server that it has in its own process"
_REACHES = "reaches into the server that it has in its own process"

NOT_APPLICABLE: Dict[str, str] = {
    "RemoveWatchesCmdTest.testRemoveWatchesLocallyWhenNoServerConnection": _STOPS,
    "RemoveWatchesTest.testRemoveWatcherWhenNoConnection": _STOPS,
    "RemoveWatchesTest.testManyWatchersWhenNoConnection": _STOPS,
    "RemoveWatchesTest.testRemoveAllDataWatchesOnAPath": _REACHES,
    "RemoveWatchesTest.testRemoveAllChildWatchesOnAPath": _REACHES,
    "RemoveWatchesTest.testRemoveAllWatchesOnAPath": _REACHES,
    "ZKUtilTest.testUnreadableFileInput": "needs a user who can't read every file: fails for root, whatever the server",
    "AsyncOpsTest.testAsyncMultiSequential_NoSideEffect": "counts on a new server, whose sequential nodes begin with 0",
    "ClientTest.testPathValidation": _REACHES + ": PrepRequestProcessor.setFailCreate",
    "PersistentRecursiveWatcherTest.testDisconnect": _STOPS,
    "PersistentWatcherTest.testDisconnect": _STOPS,
    "SessionTimeoutTest.testSessionSurviveServerRestart": _STOPS,
    "WatcherTest.testWatcherCount": _REACHES,
    "WatcherTest.testWatchAutoResetWithPending": _STOPS,
    "WatcherTest.testWatcherAutoResetWithGlobal": _STOPS,
    "WatcherTest.testWatcherAutoResetWithLocal": _STOPS,
    "WatcherTest.testWatcherAutoResetDisabledWithGlobal": _STOPS,
    "WatcherTest.testWatcherAutoResetDisabledWithLocal": _STOPS,
    "CreateTTLTest.testModifying": _REACHES,
    "CreateTTLTest.testMulti": _REACHES,
    "CreateTTLTest.testCreateAsync": _REACHES,
    "CreateTTLTest.testCreateSequential": _REACHES,
    "CreateTTLTest.testCreate": _REACHES,
    "CreateTTLTest.testDisabled": "switches extended types off in the server that it has in its own process",
}
"""Class.test, without its round → reason."""


def reason(test: str) -> Optional[str]:
    """Why a test says nothing here; None if it does."""
    return NOT_APPLICABLE.get(test.partition("[")[0])
