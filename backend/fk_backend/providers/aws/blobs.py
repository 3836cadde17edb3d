"""Blobs on S3.

Rule: a blob is written once, under a name that is never used again: a reader gets it whole, or learns that it is gone.

Clients lay data down in ``uploads/NS/``, where they expire; the writer copies them to ``data/NS/``, where clients can't
write. Source: S3 User Guide, "Amazon S3 data consistency model" (a GET after a PUT or DELETE sees it).
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Sequence, Union

from ...core.model import Blob
from ...errors import Refused
from ...writer.large import KEPT, UPLOADS, prefix
from .clients import Clients
from .failures import code_of, read, refused_by_owner, translated, wrote

INLINE_BYTES = 16 << 10
"""From here on a write to S3, and its copy, cost less than the kilobytes of an item; see docs/aws.md."""
DELETED_AT_ONCE = 1000
_GONE = ("NoSuchKey", "404", "NotFound")
_GONE_OR_DENIED = (*_GONE, "AccessDenied", "403")
"""S3's answer for what is not there to whoever may not list: clients may not."""


class S3Blobs:
    """`ports.Blobs` in the deployment's bucket."""

    inline_bytes = INLINE_BYTES

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._s3 = clients.s3
        self._bucket = bucket

    async def upload(self, ns: str, name: str, data: bytes) -> Blob:
        """`ports.Blobs.upload`."""
        return await self._put(prefix(UPLOADS, ns) + name, data)

    async def keep(self, ns: str, name: str, data: Union[bytes, Blob]) -> Blob:
        """`ports.Blobs.keep`: a PUT, or a copy within the bucket."""
        key = prefix(KEPT, ns) + name
        if isinstance(data, bytes):
            return await self._put(key, data)
        source = {"Bucket": self._bucket, "Key": data.key}
        try:
            await self._s3.copy_object(Bucket=self._bucket, Key=key, CopySource=source)
        except Exception as error:
            if code_of(error) in _GONE or refused_by_owner(error):
                raise Refused("what was laid down as %s can't be had: %s" % (data.key, error)) from error
            raise translated(error, writing=True) from error
        return Blob(key, data.size)

    async def _put(self, key: str, data: bytes) -> Blob:
        await wrote(self._s3.put_object(Bucket=self._bucket, Key=key, Body=data))
        return Blob(key, len(data))

    async def fetch(self, blob: Blob) -> Optional[bytes]:
        """`ports.Blobs.fetch`."""
        try:
            answer = await self._s3.get_object(Bucket=self._bucket, Key=blob.key)
            if answer["ContentLength"] > blob.size:  # who laid it down named another size: that is what the node has
                answer["Body"].close()
                some = "bytes=0-%d" % max(blob.size - 1, 0)
                answer = await self._s3.get_object(Bucket=self._bucket, Key=blob.key, Range=some)
            async with answer["Body"] as body:
                return bytes(await body.read())[: blob.size]
        except Exception as error:
            if code_of(error) in _GONE_OR_DENIED:
                return None
            raise translated(error, writing=False) from error

    async def older_than(self, seconds: float) -> List[str]:
        """Keys of everything that was kept longer ago than that, in all namespaces."""
        keys: List[str] = []
        request: Dict[str, Any] = {"Bucket": self._bucket, "Prefix": KEPT + "/"}
        while True:
            answer = await read(self._s3.list_objects_v2(**request))
            limit = time.time() - seconds
            keys.extend(row["Key"] for row in answer.get("Contents", ()) if row["LastModified"].timestamp() <= limit)
            if not answer.get("IsTruncated"):
                return keys
            request["ContinuationToken"] = answer["NextContinuationToken"]

    async def remove(self, keys: Sequence[str]) -> None:
        """`ports.Blobs.remove`."""
        for first in range(0, len(keys), DELETED_AT_ONCE):
            objects = [{"Key": key} for key in keys[first : first + DELETED_AT_ONCE]]
            delete = {"Objects": objects, "Quiet": True}
            await wrote(self._s3.delete_objects(Bucket=self._bucket, Delete=delete))
