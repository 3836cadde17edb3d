"""One CloudFormation stack: what is about to change, then the change, then how it went.

Rule upheld here: nothing is changed but by a change set that was shown, and a failure names the resource and why.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Set

from ...errors import DeploymentError
from . import names
from .cloud import Cloud, absent, explained

PAUSE_S = 2.0
BODY_LIMIT = 51_200
"""Bytes of a template that can be sent along; a longer one has to lie in a bucket."""

Progress = Callable[[str], None]


class Change(NamedTuple):
    """What happens to one resource. ``replacement``: it is made anew."""

    action: str
    resource: str
    kind: str
    physical: str
    replacement: bool


class StackFailed(DeploymentError):
    """The change failed, and CloudFormation undid it; the text names the resources and why."""


class Stack:
    """A stack, there or not. All methods raise DeploymentError."""

    def __init__(self, cloud: Cloud, deployment: str, progress: Progress) -> None:
        self.name = names.stack(names.checked(deployment))
        self._tags = names.tags(deployment)
        self._client = cloud.client("cloudformation")
        # An emulator is done at once.
        self._pause_s = PAUSE_S if cloud.endpoint_url is None else 0.05
        self._progress = progress

    def description(self) -> Optional[Dict[str, Any]]:
        """As CloudFormation describes it; None if there is none."""
        with explained():
            try:
                stacks = self._client.describe_stacks(StackName=self.name)["Stacks"]
            except self._client.exceptions.ClientError as error:
                if absent(error):
                    return None
                raise
        found: Optional[Dict[str, Any]] = stacks[0] if stacks else None
        return None if found is None or found["StackStatus"] == "DELETE_COMPLETE" else found

    def status(self) -> str:
        """CREATE_COMPLETE, ...; ``""`` if there is none."""
        found = self.description()
        return "" if found is None else str(found["StackStatus"])

    def outputs(self) -> Dict[str, str]:
        """By name; empty if there is no stack."""
        found = self.description() or {}
        return {one["OutputKey"]: one.get("OutputValue", "") for one in found.get("Outputs", ())}

    def parameters(self) -> Dict[str, str]:
        """Their values, by name; ``****`` in place of a secret one. Empty if there is no stack."""
        found = self.description() or {}
        return {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", ())}

    def template(self) -> Dict[str, Any]:
        """The one in force; empty if there is no stack."""
        import json

        with explained():
            try:
                body = self._client.get_template(StackName=self.name, TemplateStage="Original")["TemplateBody"]
            except self._client.exceptions.ClientError as error:
                if absent(error):
                    return {}
                raise
        return dict(json.loads(body) if isinstance(body, str) else body)

    # --- changing -----------------------------------------------------------------------------------

    def prepare(self, template: Mapping[str, str], parameters: Mapping[str, str], known_to: List[str]) -> "Prepared":
        """A change set. ``template``: TemplateBody or TemplateURL; ``parameters`` are set, others stay."""
        before = self.description()
        new = before is None or before["StackStatus"] == "REVIEW_IN_PROGRESS"
        known = {one["ParameterKey"] for one in (before or {}).get("Parameters", ())} if not new else set()
        given: List[Dict[str, Any]] = [
            {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())
        ]
        kept = sorted((known & set(known_to)) - set(parameters))
        given.extend({"ParameterKey": key, "UsePreviousValue": True} for key in kept)
        with explained():
            answer = self._client.create_change_set(
                StackName=self.name,
                ChangeSetName="fk-kazoo-%d" % time.time_ns(),
                ChangeSetType="CREATE" if new else "UPDATE",
                Parameters=given,
                Capabilities=["CAPABILITY_NAMED_IAM"],
                Tags=[{"Key": key, "Value": value} for key, value in sorted(self._tags.items())],
                **template,
            )
        return self._prepared(answer["Id"], new)

    def _prepared(self, arn: str, new: bool) -> "Prepared":
        while True:
            pages, token = [], None
            while True:
                with explained():
                    page = self._client.describe_change_set(
                        ChangeSetName=arn, StackName=self.name, **({"NextToken": token} if token else {})
                    )
                pages.append(page)
                token = page.get("NextToken")
                if not token:
                    break
            status, why = pages[0]["Status"], pages[0].get("StatusReason", "")
            if status == "FAILED" and ("didn't contain changes" in why or "No updates are to be performed" in why):
                self._drop(arn, new)
                return Prepared(arn, new, [])
            if status == "FAILED":
                self._drop(arn, new)
                raise StackFailed("CloudFormation refuses the change: %s" % why)
            if status == "CREATE_COMPLETE":
                return Prepared(arn, new, [_change(one) for page in pages for one in page.get("Changes", ())])
            time.sleep(self._pause_s)

    def discard(self, prepared: "Prepared") -> None:
        """As if it had not been prepared."""
        self._drop(prepared.arn, prepared.new)

    def _drop(self, arn: str, new: bool) -> None:
        with explained():
            self._client.delete_change_set(ChangeSetName=arn, StackName=self.name)
            if new and self.status() == "REVIEW_IN_PROGRESS":
                self._client.delete_stack(StackName=self.name)

    def execute(self, prepared: "Prepared") -> None:
        """Returns when it is done. StackFailed."""
        before = self._last_event()
        with explained():
            self._client.execute_change_set(ChangeSetName=prepared.arn, StackName=self.name)
        self._wait(self.name, before, len(prepared.changes))

    def delete(self) -> None:
        """Returns when the stack is gone; what it retains is not. StackFailed."""
        found = self.description()
        if found is None:
            return
        before = self._last_event()
        with explained():
            self._client.delete_stack(StackName=found["StackId"])
        self._wait(found["StackId"], before)

    def _last_event(self) -> str:
        events = self._events_after("", self.name)
        return events[-1]["EventId"] if events else ""

    def _events_after(self, last: str, stack: str) -> List[Dict[str, Any]]:
        """The oldest first. AWS gives the newest first."""
        found: List[Dict[str, Any]] = []
        with explained():
            try:
                for page in self._client.get_paginator("describe_stack_events").paginate(StackName=stack):
                    for event in page["StackEvents"]:
                        if event["EventId"] == last:
                            return found[::-1]
                        found.append(event)
            except self._client.exceptions.ClientError as error:
                if not absent(error):
                    raise
        return found[::-1]

    def _wait(self, stack: str, last: str, expected: int = 0) -> None:
        """Tells the events after ``last`` as they come, until the stack has come to rest.

        ``expected``: how many resources will be done then; 0: that is not known.
        """
        failures: List[str] = []
        begun_s = time.monotonic()
        done: Set[str] = set()
        while True:
            status = self._status_of(stack)
            for event in self._events_after(last, stack):
                last = event["EventId"]
                if event.get("ResourceStatus", "").endswith("_COMPLETE"):
                    done.update({event.get("LogicalResourceId", "")} - {self.name})
                of = " of %d" % expected if expected else ""
                failures.extend(self._tell(event, "%d%s, %.0f s" % (len(done), of, time.monotonic() - begun_s)))
            if not status.endswith("_IN_PROGRESS"):
                break
            time.sleep(self._pause_s)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"):
            raise StackFailed("stack %s: %s. %s" % (self.name, status, "; ".join(failures) or "No reason was given"))

    def _tell(self, event: Dict[str, Any], far: str) -> List[str]:
        """What failed, if this says so of itself and not because of something else."""
        status, resource = event.get("ResourceStatus", ""), event.get("LogicalResourceId", "")
        reason = event.get("ResourceStatusReason", "")
        failed = status.endswith("FAILED") and "cancelled" not in reason
        self._progress("%s %s (%s)%s" % (status, resource, far, ": " + reason if failed else ""))
        return ["%s: %s" % (resource, reason)] if failed else []

    def _status_of(self, stack: str) -> str:
        with explained():
            try:
                return str(self._client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
            except self._client.exceptions.ClientError as error:
                if absent(error):
                    return "DELETE_COMPLETE"
                raise


class Prepared(NamedTuple):
    """A change set that waits to be executed; without changes it is gone already."""

    arn: str
    new: bool
    changes: List[Change]


def _change(entry: Dict[str, Any]) -> Change:
    one = entry["ResourceChange"]
    return Change(
        one["Action"],
        one["LogicalResourceId"],
        one["ResourceType"],
        one.get("PhysicalResourceId", ""),
        one.get("Replacement") == "True",
    )
