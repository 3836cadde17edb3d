"""One run: deploy, check, destroy, look, report.

Rule upheld here: however it goes on or ends, what was deployed is destroyed, and every check has a result.
"""

from __future__ import annotations

import secrets
import signal
import threading
import time
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence

from . import plan, remains, tenants
from .budget import Ledger
from .compatibility import suite_lacks
from .latency import document
from .outcome import FAILED, HELD, NOT_RUN, NOT_SHOWN, Check, NotRun, NotShown, Result, Stopped, exit_code
from .places import Place, Tell
from .report import Report
from .scene import QUICK, Scale, Scene

DESTROYING_S = 120.0
"""Kept of the time for destroying."""
GRACE_S = 45.0
"""So long what is still going on may take to end by itself."""
LANES = 2
"""What does something all the time, so many of it side by side; what waits goes beside it."""
WAITING = ("dead holder", "same message")


class Wanted(NamedTuple):
    """What was asked for. ``only``: names of checks; none: all."""

    budget_usd: float
    minutes: float = 20.0
    quick: bool = False
    only: Sequence[str] = ()


class Run:
    """``place``: where; ``tell``: who is told how it goes on."""

    def __init__(self, wanted: Wanted, place: Place, tell: Tell) -> None:
        self._wanted, self._place, self._tell = wanted, place, tell
        self._began_s, self._began = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._results: Dict[str, Result] = {}
        self._checking: List[threading.Thread] = []
        ends_at = self._began_s + max(0.0, wanted.minutes * 60 - DESTROYING_S)
        name = "verify-" + secrets.token_hex(3)
        self.scene = Scene(place, name, QUICK if wanted.quick else Scale(), Ledger(wanted.budget_usd), ends_at)

    def __call__(self) -> Report:
        """The whole of it."""
        if "kazoo's tests" in self._chosen and suite_lacks():
            self._tell("kazoo's own tests will NOT be run: %s" % suite_lacks())
        with self._watched():
            try:
                self._check_everything()
            except Stopped:
                pass
            except Exception as error:  # whatever it is: what was made has to go
                self._results["run"] = Result("run", "every step can be taken", FAILED, traceback.format_exc())
                self.scene.ending.now("a step failed: %r" % error)
            finally:
                self._wait_for_checks()
                looked = self._clean_up()
        return self._report(looked)

    # --- checking -----------------------------------------------------------------------------------

    @property
    def _chosen(self) -> List[str]:
        return [one.name for one in plan.ALL if not self._wanted.only or one.name in self._wanted.only]

    def _check_everything(self) -> None:
        scene = self.scene
        if scene.ledger.is_spent:
            scene.ending.now("the budget of %.2f USD is too small for anything" % scene.ledger.budget_usd)
        scene.go_on()
        deployed = self._note("deployed", "two deployments can be made", self._deploy)
        if deployed.status != HELD:
            scene.ending.now("it could not be deployed")
        scene.go_on()
        idle = self._begin([plan.IDLE])
        for check in plan.MEASURED:
            self._perform(check)
        waiting = [self._begin([one]) for one in plan.TOGETHER if one.name in WAITING]
        busy = [one for one in plan.TOGETHER if one.name not in WAITING]
        lanes = [self._begin(busy[lane::LANES]) for lane in range(LANES)]
        self._join([*waiting, *lanes])
        self._perform(plan.USED)
        if idle.is_alive():
            self._destroy(scene.name)
        self._join([idle])

    def _deploy(self) -> Dict[str, Any]:
        """Both at once. If one fails, the other is made all the same: CloudFormation can't be stopped half-way."""
        scene, failed = self.scene, []
        self._place.prepare()

        def deploy(name: str, namespaces: Sequence[str]) -> None:
            try:
                scene.ledger.lives(name)
                url = self._place.deploy(name, namespaces)
                setattr(scene, "url" if name == scene.name else "idle_url", url)
            except Exception as error:
                failed.append(error)

        pairs = [(scene.name, tenants.NAMESPACES), (scene.idle_name, ())]
        making = [threading.Thread(target=deploy, args=pair) for pair in pairs]
        for one in making:
            one.start()
        self._join(making, even_if_it_ends=True)
        if failed:
            raise failed[0]
        return {"seconds": round(time.monotonic() - self._began_s)}

    def _begin(self, checks: List[Check]) -> threading.Thread:
        """Performs them one after the other, beside everything else."""

        def perform() -> None:
            for check in checks:
                self._perform(check)

        thread = threading.Thread(target=perform, daemon=True)
        thread.start()
        self._checking.append(thread)
        return thread

    def _perform(self, check: Check) -> None:
        if check.name not in self._chosen:
            return
        self._tell("begins: %s" % check.name)
        nothing = check.proves_nothing_of if self._place.emulator else ""
        self._note(check.name, check.claim, lambda: check.call(self.scene), nothing)

    def _note(self, name: str, claim: str, call: Callable[[], Dict[str, Any]], proves_nothing_of: str = "") -> Result:
        """What came of it is a result."""
        began, status, detail = time.monotonic(), HELD, ""
        figures: Dict[str, Any] = {}
        try:
            self.scene.go_on()
            figures = call()
        except (NotRun, Stopped) as why:
            status, detail = NOT_RUN, str(why)
        except NotShown as why:
            status, detail = NOT_SHOWN, str(why)
        except AssertionError as why:
            status, detail = FAILED, str(why) or traceback.format_exc()
        except BaseException:
            status, detail = FAILED, traceback.format_exc()
        took_s = time.monotonic() - began
        result = Result(name, claim, status, detail, round(took_s, 2), figures, proves_nothing_of)
        self._results[name] = result
        self._tell("%s: %s (%.0f s)%s" % (status, name, took_s, ": " + detail.splitlines()[-1] if detail else ""))
        return result

    def _join(self, threads: Sequence[threading.Thread], even_if_it_ends: bool = False) -> None:
        """Waits for them. Stopped if the run ends, unless it has to be waited for."""
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                if not even_if_it_ends:
                    self.scene.go_on()

    # --- ending -------------------------------------------------------------------------------------

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Ctrl-C, the budget and the time end it; what is being destroyed is destroyed."""
        ending, over = self.scene.ending, threading.Event()

        def interrupted(number: int, _: Any) -> None:
            self._tell("%s: what was made is destroyed first" % signal.Signals(number).name)
            ending.now("interrupted by %s" % signal.Signals(number).name)

        def guard() -> None:
            while not over.wait(0.5):
                if self.scene.ledger.is_spent:
                    ending.now("the budget of %.2f USD is all but spent" % self.scene.ledger.budget_usd)
                if time.monotonic() > self.scene.ends_at:
                    ending.now("the time was over")

        threading.Thread(target=guard, daemon=True).start()
        in_main = threading.current_thread() is threading.main_thread()
        before = {one: signal.signal(one, interrupted) for one in (signal.SIGINT, signal.SIGTERM) if in_main}
        try:
            yield
        finally:
            over.set()
            for one, handler in before.items():
                signal.signal(one, handler)

    def _wait_for_checks(self) -> None:
        """Until they have ended, or for as long as they may take."""
        until = time.monotonic() + GRACE_S
        for thread in self._checking:
            thread.join(max(0.0, until - time.monotonic()))
        for check in plan.ALL:
            if check.name not in self._results:
                why = self.scene.ending.reason if check.name in self._chosen else "it was not asked for"
                nothing = check.proves_nothing_of if self._place.emulator else ""
                self._results[check.name] = Result(check.name, check.claim, NOT_RUN, why, proves_nothing_of=nothing)

    def _clean_up(self) -> remains.Looked:
        """Everything goes; what is left."""
        for name in (self.scene.name, self.scene.idle_name):
            self._destroy(name)
        self._always("packages", self._place.forget_packages)
        self._tell("looking at what is left")
        try:
            return remains.settled(self._place.cloud, ["fk-" + self.scene.name])
        except Exception as error:
            return remains.Looked([], {"everything": repr(error)})

    def _destroy(self, name: str) -> None:
        """A second time if it fails: what was in the way may have gone meanwhile."""
        if name == self.scene.name:
            self._always("roles", lambda: tenants.remove(self._place.cloud, name))
        self._always("destroyed " + name, lambda: self._place.destroy(name))
        self.scene.ledger.ended(name)

    def _always(self, what: str, call: Callable[[], None]) -> None:
        for last in (False, True):
            try:
                return call()
            except Exception as error:
                self._tell("%s: %s" % (what, error))
                if last:
                    detail = traceback.format_exc()
                    self._results[what] = Result(what, "what was made can be removed", FAILED, detail)

    def _report(self, looked: remains.Looked) -> Report:
        results = list(self._results.values())
        source = "fk-kazoo verify, %s" % (self._place.emulator or "AWS %s" % self._place.where)
        return Report(
            self._began,
            round(time.monotonic() - self._began_s, 1),
            self._place.where,
            self._place.emulator,
            self._wanted.quick,
            self._wanted.budget_usd,
            round(self.scene.ledger.spent_usd(), 4),
            self.scene.ending.reason,
            results,
            looked.left,
            looked.unknown,
            document(self.scene.samples, source),
            exit_code(results, looked.left, not looked.unknown),
            list(getattr(self._place, "troubles", ())),
        )
