"""One run: deploy, check, destroy, look, report.

Rule upheld here: however it goes on or ends, what was deployed is destroyed, and every check has a result.
"""

from __future__ import annotations

import secrets
import threading
import time
import traceback
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

from fk_backend.errors import NoPermission

from . import leftovers, plan, tenants
from .accounts import Account, Notify
from .budget import Ledger
from .clean_up import CleanUp, watched
from .compatibility import suite_missing
from .context import QUICK, CheckContext, Scale
from .latency import document
from .outcome import FAILED, HELD, NOT_RUN, NOT_SHOWN, Check, NotRun, NotShown, Result, Stopped, exit_code
from .report import Report

DESTROYING_S = 120.0
"""Kept of the time for destroying."""
GRACE_S = 45.0
"""So long what is still going on may take to end by itself."""


class Wanted(NamedTuple):
    """What was asked for. ``only``: names of checks; none: all."""

    budget_usd: float
    minutes: float = 20.0
    quick: bool = False
    only: Sequence[str] = ()


class Run:
    """``account``: where; ``notify``: gets a line for each step."""

    def __init__(self, wanted: Wanted, account: Account, notify: Notify) -> None:
        self._wanted, self._account, self._notify = wanted, account, notify
        self._began_s, self._began = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._chosen = [one.name for one in plan.ALL if not wanted.only or one.name in wanted.only]
        self._results: Dict[str, Result] = {}
        self._checking: List[threading.Thread] = []
        ends_at = self._began_s + max(0.0, wanted.minutes * 60 - DESTROYING_S)
        name = "verify-" + secrets.token_hex(3)
        self.context = CheckContext(
            account, name, QUICK if wanted.quick else Scale(), Ledger(wanted.budget_usd), ends_at
        )
        self._clean_up = CleanUp(self.context, notify)

    def __call__(self) -> Report:
        """The whole of it."""
        if plan.SUITE in self._chosen and suite_missing():
            self._notify("kazoo's own tests will NOT be run: %s" % suite_missing())
        with watched(self.context, self._notify):
            try:
                self._check_everything()
            except Stopped:
                pass
            except Exception as error:  # whatever it is: what was made has to go
                self._results["run"] = Result("run", "every step can be taken", FAILED, traceback.format_exc())
                self.context.ending.now("a step failed: %r" % error)
            finally:
                self._wait_for_checks()
                left_over = self._clean_up.everything()
        return self._report(left_over)

    # --- checking -----------------------------------------------------------------------------------

    def _check_everything(self) -> None:
        context = self.context
        if context.ledger.is_spent:
            context.ending.now("the budget of %.2f USD is too small for anything" % context.ledger.budget_usd)
        context.go_on()
        deployed = self._record("deployed", "two deployments can be made", self._deploy)
        if deployed.status != HELD:
            context.ending.now("it could not be deployed")
        context.go_on()
        idle = self._begin([plan.IDLE])
        for check in plan.MEASURED:
            self._perform(check)
        self._join([self._begin(lane) for lane in plan.LANES])
        if idle.is_alive():
            self._clean_up.destroy(context.name)
        self._join([idle])

    def _deploy(self) -> Dict[str, Any]:
        """Both at once. If one fails, the other is made all the same: CloudFormation can't be stopped half-way."""
        context, failed = self.context, []
        gone = "if this is killed, fk-kazoo destroy %s --force, and the same for %s"
        self._notify(gone % (context.name, context.idle_name))
        self._account.prepare()
        context.go_on()

        def deploy(name: str, namespaces: Sequence[str]) -> None:
            try:
                context.ledger.lives(name)
                url = self._account.deploy(name, namespaces)
                setattr(context, "url" if name == context.name else "idle_url", url)
            except Exception as error:
                failed.append(error)

        pairs = [(context.name, tenants.NAMESPACES), (context.idle_name, ())]
        making = [threading.Thread(target=deploy, args=pair) for pair in pairs]
        for one in making:
            one.start()
        for one in making:
            one.join()
        if failed:
            raise failed[0]
        return {"seconds": round(time.monotonic() - self._began_s)}

    def _begin(self, checks: Sequence[Check]) -> threading.Thread:
        """Performs them one after the other, beside everything else."""

        def perform() -> None:
            for check in checks:
                self._perform(check)

        thread = threading.Thread(target=perform, daemon=True)
        thread.start()
        self._checking.append(thread)
        return thread

    def _perform(self, check: Check) -> None:
        if check.name in self._chosen:
            self._notify("begins: %s" % check.name)
            nothing = check.proves_nothing_of if self._account.emulator else ""
            self._record(check.name, check.claim, lambda: check.call(self.context), nothing)

    def _record(self, name: str, claim: str, call: Callable[[], Dict[str, Any]], proves_nothing_of: str = "") -> Result:
        """What came of it is a result."""
        began, status, detail = time.monotonic(), HELD, ""
        figures: Dict[str, Any] = {}
        try:
            self.context.go_on()
            figures = call()
        except (NotRun, Stopped, NoPermission) as why:
            status, detail = NOT_RUN, str(why)
        except NotShown as why:
            status, detail = NOT_SHOWN, str(why)
        except AssertionError as why:
            status, detail = FAILED, str(why) or traceback.format_exc()
        except BaseException:
            status, detail = FAILED, traceback.format_exc()
        took_s = time.monotonic() - began
        result = Result(name, claim, status, detail.strip(), round(took_s, 2), figures, proves_nothing_of)
        self._results[name] = result
        self._notify("%s: %s (%.0f s)%s" % (status, name, took_s, ": " + detail.splitlines()[-1] if detail else ""))
        return result

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        """Waits for them. Stopped if the run ends."""
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                self.context.go_on()

    # --- ending -------------------------------------------------------------------------------------

    def _wait_for_checks(self) -> None:
        """Until they have ended, or for as long as they may take; who has no result by then was not run."""
        until = time.monotonic() + GRACE_S
        for thread in self._checking:
            thread.join(max(0.0, until - time.monotonic()))
        for check in plan.ALL:
            why = self.context.ending.reason if check.name in self._chosen else "it was not asked for"
            nothing = check.proves_nothing_of if self._account.emulator else ""
            left_out = Result(check.name, check.claim, NOT_RUN, why, proves_nothing_of=nothing)
            self._results.setdefault(check.name, left_out)

    def _report(self, left_over: leftovers.Leftovers) -> Report:
        order = ["deployed", *(one.name for one in plan.ALL), "run"]
        results = [self._results[name] for name in order if name in self._results] + self._clean_up.failures
        source = "fk-kazoo verify, %s" % (self._account.emulator or "AWS %s" % self._account.where)
        return Report(
            began=self._began,
            seconds=round(time.monotonic() - self._began_s, 1),
            region=self._account.where,
            emulator=self._account.emulator,
            waits_shortened=self._wanted.quick,
            budget_usd=self._wanted.budget_usd,
            spent_usd=round(self.context.ledger.spent_usd(), 4),
            ended_early=self.context.ending.reason,
            results=results,
            left=left_over.left,
            unknown=left_over.unknown,
            latencies=document(self.context.samples, source),
            exit_code=exit_code(results, left_over.left, not left_over.unknown),
            troubles=self._account.troubles,
        )
