"""What `fk-kazoo verify` finds of a deployment: all of it, and after it was destroyed nothing."""

from __future__ import annotations

from collections import Counter

from fk_backend.providers.aws import names
from fk_backend.providers.aws.cloud import Cloud
from fk_backend.providers.aws.destroy import destroy
from fk_kazoo.verify import leftovers

from .conftest import NAME, Place


def test_everything_is_found_and_after_that_nothing(place: Place) -> None:
    place.deploy()
    inbox = names.inbox_queue(NAME, "a" * 32)
    place.client("sqs").create_queue(QueueName=inbox)
    left_over = leftovers.find(Cloud(), ["fk-" + NAME])
    assert left_over.unknown == {}
    assert "queue " + inbox in left_over.left
    count = Counter(one.rpartition(" ")[0] for one in left_over.left)
    assert (count["stack"], count["table"], count["bucket"], count["rule"]) == (1, 3, 1, 2)
    assert count["queue"] == 4 and count["event source mapping of"] == 2
    assert count["function"] == count["role"] == count["log group of"] == 4
    assert count["policy"] and count["alarm"]
    destroy(NAME, force=True)
    assert leftovers.wait_until_gone(Cloud(), ["fk-" + NAME], within_s=5.0) == leftovers.Leftovers([], {})
