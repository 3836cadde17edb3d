"""Functions that do what their messages say, and write down what they were given.

Rule upheld here: nothing but the standard library, because the interpreter has nothing else.
"""

import json
import os
import sys
import time
from pathlib import Path

calls = 0
_frozen_count = 0


def note(what, **more):
    """A line of $RECORD."""
    line = json.dumps({"what": what, "pid": os.getpid(), **more}) + "\n"
    with open(os.environ["RECORD"], "a") as record:
        record.write(line)


def notes():
    """The lines of $RECORD."""
    return [json.loads(line) for line in Path(os.environ["RECORD"]).read_text().splitlines()]


def wait_for(condition):
    """Until ``condition()``; the function's own timeout ends it."""
    while not condition():
        time.sleep(0.005)


def obey(body):
    """``do`` of a message, as long as it came at most ``times`` times."""
    order = body.get("do", "")
    if order == "raise":
        raise ValueError("as told")
    if order == "exit":
        os._exit(3)
    if order == "hang":
        time.sleep(600)
    if order == "wait":
        wait_for(Path(body["file"]).exists)
    if order == "meet":  # returns only if as many others are here at the same time
        wait_for(lambda: len({one["id"] for one in notes() if one["what"] == "begin"}) >= body["others"])


def work(event, context):
    """Does what the messages say; stops at the first that says "fail", and names it and the rest as failed."""
    records = [(one, json.loads(one["body"]), one["attributes"]) for one in event["Records"]]
    failed = []
    for one, body, attributes in records:
        told = body if int(attributes["ApproximateReceiveCount"]) <= body.get("times", 99) else {}
        more = {"id": body.get("id"), "group": attributes.get("MessageGroupId"), "batch": len(records)}
        if failed or told.get("do") == "fail":
            failed.append({"itemIdentifier": one["messageId"]})
            continue
        note("begin", count=int(attributes["ApproximateReceiveCount"]), **more)
        obey(told)
        note("end", **more)
    return {"batchItemFailures": failed}


def show(event, context):
    """What it was given."""
    global calls
    calls += 1
    return {
        "event": event,
        "calls": calls,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "request_id": context.aws_request_id,
        "directory": os.getcwd(),
        "variables": dict(os.environ),
        "path": sys.path,
        "pid": os.getpid(),
    }


def importable(event, context):
    """Which of the modules can be imported."""
    found = []
    for name in event:
        try:
            __import__(name)
        except ImportError:
            continue
        found.append(name)
    return found


def obeying(event, context):
    """Does what the event says."""
    obey(event)
    return event


def whole(event, context):
    """Notes the events' ids, and answers what the first message says."""
    bodies = [json.loads(one["body"]) for one in event["Records"]]
    note("batch", ids=[body["id"] for body in bodies])
    answer = bodies[0].get("answer")
    if answer == "first":
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
    return answer


def tick(event, context):
    """How often a thread that goes on after the first call has run since."""
    import threading

    def count():
        global _frozen_count
        while True:
            _frozen_count += 1
            time.sleep(0.001)

    if not _frozen_count:
        threading.Thread(target=count, daemon=True).start()
        time.sleep(0.05)
    return _frozen_count


def again(event, context):
    """Sends each message on to the queue that it came from, with its count one higher, as the SDK would."""
    from urllib.request import Request, urlopen

    for one in event["Records"]:
        body = json.loads(one["body"])
        note("end", id=body["id"], group=None)
        if body["id"] < body["until"]:
            _, _, _, region, account, queue = one["eventSourceARN"].split(":")
            endpoint = os.environ["AWS_ENDPOINT_URL"]
            url = "%s/%s/%s" % (endpoint, account, queue)
            sent = {"QueueUrl": url, "MessageBody": json.dumps({**body, "id": body["id"] + 1})}
            scope = "%s/20250101/%s/sqs/aws4_request" % (os.environ["AWS_ACCESS_KEY_ID"], region)
            headers = {
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": "AmazonSQS.SendMessage",
                "X-Amzn-Trace-Id": os.environ["_X_AMZN_TRACE_ID"],
                "Authorization": "AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=host, Signature=0" % scope,
            }
            urlopen(Request(endpoint, json.dumps(sent).encode(), headers), timeout=20).read()
    return {}


def talk(event, context):
    """Prints."""
    print("said " + event["text"])
