"""The requests and answers of ZooKeeper's protocol. An app needs them for requests that kazoo has no method for."""

from struct import Struct
from typing import Any, ClassVar, NamedTuple, type_check_only

from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL

bool_struct: Struct
int_struct: Struct
int_int_struct: Struct
int_int_long_struct: Struct
int_long_int_long_struct: Struct
long_struct: Struct
multiheader_struct: Struct
reply_header_struct: Struct
stat_struct: Struct

def read_string(buffer: bytes, offset: int) -> tuple[str | None, int]: ...
def read_acl(bytes: bytes, offset: int) -> tuple[ACL, int]: ...
def write_string(bytes: str | None) -> bytes: ...
def write_buffer(bytes: bytes | None) -> bytes: ...
def read_buffer(bytes: bytes, offset: int) -> tuple[bytes | None, int]: ...

@type_check_only
class _Close(NamedTuple): ...

class Close(_Close):
    type: ClassVar[int]
    @classmethod
    def serialize(cls) -> bytes | bytearray: ...

CloseInstance: Close

@type_check_only
class _Ping(NamedTuple): ...

class Ping(_Ping):
    type: ClassVar[int]
    @classmethod
    def serialize(cls) -> bytes | bytearray: ...

PingInstance: Ping

@type_check_only
class _Connect(NamedTuple):
    protocol_version: int
    last_zxid_seen: int
    time_out: int
    session_id: int
    passwd: bytes
    read_only: bool | None

class Connect(_Connect):
    type: ClassVar[None]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[Connect, int]: ...

@type_check_only
class _Create(NamedTuple):
    path: str
    data: bytes | None
    acl: list[ACL] | tuple[ACL, ...]
    flags: int

class Create(_Create):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> str: ...

@type_check_only
class _Delete(NamedTuple):
    path: str
    version: int

class Delete(_Delete):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> bool: ...

@type_check_only
class _Exists(NamedTuple):
    path: str
    watcher: Any

class Exists(_Exists):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> ZnodeStat | None: ...

@type_check_only
class _GetData(NamedTuple):
    path: str
    watcher: Any

class GetData(_GetData):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[bytes | None, ZnodeStat]: ...

@type_check_only
class _SetData(NamedTuple):
    path: str
    data: bytes | None
    version: int

class SetData(_SetData):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> ZnodeStat: ...

@type_check_only
class _GetACL(NamedTuple):
    path: str

class GetACL(_GetACL):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> Any: ...

@type_check_only
class _SetACL(NamedTuple):
    path: str
    acls: list[ACL] | tuple[ACL, ...]
    version: int

class SetACL(_SetACL):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> ZnodeStat: ...

@type_check_only
class _GetChildren(NamedTuple):
    path: str
    watcher: Any

class GetChildren(_GetChildren):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> list[str]: ...

@type_check_only
class _Sync(NamedTuple):
    path: str

class Sync(_Sync):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, buffer: bytes, offset: int) -> str: ...

@type_check_only
class _GetChildren2(NamedTuple):
    path: str
    watcher: Any

class GetChildren2(_GetChildren2):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> Any: ...

@type_check_only
class _CheckVersion(NamedTuple):
    path: str
    version: int

class CheckVersion(_CheckVersion):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...

@type_check_only
class _Transaction(NamedTuple):
    operations: list[Any]

class Transaction(_Transaction):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> list[Any]: ...
    @staticmethod
    def unchroot(client: Any, response: list[Any]) -> list[Any]: ...

@type_check_only
class _Create2(NamedTuple):
    path: str
    data: bytes | None
    acl: list[ACL] | tuple[ACL, ...]
    flags: int

class Create2(_Create2):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[str, ZnodeStat]: ...

@type_check_only
class _Reconfig(NamedTuple):
    joining: str | None
    leaving: str | None
    new_members: str | None
    config_id: int

class Reconfig(_Reconfig):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[bytes | None, ZnodeStat]: ...

@type_check_only
class _Auth(NamedTuple):
    auth_type: int
    scheme: str
    auth: str

class Auth(_Auth):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...

@type_check_only
class _SASL(NamedTuple):
    challenge: bytes

class SASL(_SASL):
    type: ClassVar[int]
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[bytes | None, int]: ...

class Watch(NamedTuple):
    type: int
    state: int
    path: str
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[Watch, int]: ...

class ReplyHeader(NamedTuple):
    xid: int
    zxid: int
    err: int
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[ReplyHeader, int]: ...

class MultiHeader(NamedTuple):
    type: int | None
    done: bool
    err: int | None
    def serialize(self) -> bytes | bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[MultiHeader, int]: ...
