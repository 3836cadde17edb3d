"""The format of what a deployment on AWS has stored: written once, and looked at by whoever is to work on it."""

from __future__ import annotations

from typing import Optional

from ...layout import FORMAT
from ...ports import STATE
from . import names
from .cloud import Cloud, absent, explained


def stored_format(cloud: Cloud, name: str) -> Optional[int]:
    """Of the deployment's tables. None: it has none yet, or there are no tables."""
    partition, sort = names.FORMAT_KEY
    database = cloud.client("dynamodb")
    with explained():
        try:
            answer = database.get_item(
                TableName=names.table(name, STATE),
                Key={names.PARTITION: {"S": partition}, names.SORT: {"S": sort}},
                ConsistentRead=True,
            )
        except database.exceptions.ClientError as error:
            if absent(error):
                return None
            raise
    return int(answer["Item"][names.REV]["N"]) if "Item" in answer else None


def write_format(cloud: Cloud, name: str) -> None:
    """Writes the format unless it is there: from now on, a version before has to keep away."""
    partition, sort = names.FORMAT_KEY
    database = cloud.client("dynamodb")
    item = {names.PARTITION: {"S": partition}, names.SORT: {"S": sort}, names.REV: {"N": str(FORMAT)}}
    with explained():
        try:
            database.put_item(
                TableName=names.table(name, STATE),
                Item=item,
                ConditionExpression="attribute_not_exists(%s) OR %s < :now" % (names.PARTITION, names.REV),
                ExpressionAttributeValues={":now": item[names.REV]},
            )
        except database.exceptions.ConditionalCheckFailedException:
            pass
