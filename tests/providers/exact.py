"""What our own stores keep to beyond the contract."""

from __future__ import annotations

from fk_backend.ports import STATE
from fk_backend.testing.harness import Checked, Sandbox, check, put


class ExactPages(Checked):
    """Callers are spared a last, empty page."""

    @check
    async def test_more_is_true_only_if_there_is_more(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key(sort), 1) for sort in "abc"])
        for end in (None, "c\0", "d"):
            found = [(await at.store.query(STATE, at.key("").partition, "", end, limit)).more for limit in (1, 2, 3, 4)]
            assert found == [True, True, False, False]
        assert not (await at.store.query(STATE, at.key("").partition, "", "c", 2)).more
        assert not (await at.store.query(STATE, at.key("none", "none").partition)).more
