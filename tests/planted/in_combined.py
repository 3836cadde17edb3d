"""Mistakes with processes of one machine that commit for each other: who has done what, and who is told so."""

from __future__ import annotations

from functools import partial
from typing import List

from fk_backend.functions import writer
from fk_backend.providers import dispatch
from fk_backend.providers.local import combining, direct, progress

from . import edited

D, P, R, W = direct.DirectWriter, progress.Progress, combining.Records, writer.Writer
NAMES: List[str] = []
"""Of the bugs here: they are looked for in worlds in which such processes meet."""

STOPPED: List[str] = []
"""Of those that show where somebody is stopped for long."""


edit, stopped = (partial(edited.edit, names) for names in (NAMES, STOPPED))

edit(
    "combined answered first",
    "what others want is answered although the commit failed",
    W, "_write_together", "await self._commit(step.writes, None)",
    "try:\n            await self._commit(step.writes, None)\n        except BackendError:\n            pass",
)  # fmt: skip
edit(
    "combined twice",
    "what somebody committed who died before he said so is committed again",
    D, "_asked_by_others", "if each.target:", "if False:",
)  # fmt: skip
edit(
    "answer of another process",
    "who gets a record of somebody who died counts from 1 again",
    R, "_claim", "max(self._words[ASKED_AT + record], self._words[REPLIED_AT + record] // _CODES)", "0",
)  # fmt: skip
edit(
    "answers swapped",
    "who waits is told what came of another one's request",
    D, "_commit", "zip(others, written[1:])", "zip(others[::-1], written[1:])",
)  # fmt: skip
stopped(
    "withdrawn and committed",
    "what was withdrawn meanwhile is committed all the same",
    P, "while_asked", "if not self.taken:", "if True:",
)  # fmt: skip
edit(
    "answers of heads overlooked",
    "what is answered in the head is not looked for there",
    direct, "_fate", "in head.answers", "in ()",
)  # fmt: skip
edit(
    "unknown taken for refused",
    "what others want is taken for undone if the commit had no answer",
    D, "_commit", "LOST if isinstance(error, Unknown) and each in taken else REFUSED", "REFUSED",
)  # fmt: skip
edit(
    "not marked as taken",
    "what is taken into a commit looks as if nobody had taken it",
    R, "take_up", "self._reply(publication, TAKEN)", "pass",
)  # fmt: skip
edit(
    "own left published",
    "who commits what it has published leaves it there for others",
    D, "_with_others", "records.retract()", "pass",
)  # fmt: skip
edit(
    "a batch without its turn",
    "a batch of the queue is committed beside whoever has the commit lock",
    dispatch.Dispatcher, "_work", "async with self._turn:", "if True:",
)  # fmt: skip
