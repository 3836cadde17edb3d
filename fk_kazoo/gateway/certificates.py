"""Who a client's certificate is of: its subject as Java writes it, which is what ZooKeeper's ``x509`` ACLs name.

Only what OpenSSL has verified comes here; what can't be read all the same is a ValueError.
Source: RFC 2253, and ``X500Principal.getName()`` where that leaves a choice.
"""

from __future__ import annotations

from typing import Iterator, List, Tuple

MAX_SUBJECT = 2000
"""Characters of a subject that can be somebody's: it is kept with the session."""

_KEYWORDS = {
    "2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O",
    "2.5.4.11": "OU", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}  # fmt: skip
"""Those that RFC 2253 has; others are told by their numbers."""
_TEXTS = (0x0C, 0x13, 0x14, 0x16, 0x1B, 0x1E)
"""UTF8String, PrintableString, T61String, IA5String, GeneralString, BMPString: Java takes all for UTF-8."""
_ESCAPED = ',=+<>#;"\\'
_SEQUENCE, _OID, _VERSION = 0x30, 0x06, 0xA0

Element = Tuple[int, bytes, bytes]
"""Tag, contents, and all of it."""


def subject(certificate: bytes) -> str:
    """The subject of a certificate (DER), as RFC 2253 writes names. ValueError."""
    signed = _first(_first(certificate)[1])
    fields = [each for each in _elements(signed[1]) if each[0] != _VERSION]
    if len(fields) < 5 or fields[4][0] != _SEQUENCE:
        raise ValueError("a certificate without a subject")
    name = name_of(fields[4][2])
    if len(name) > MAX_SUBJECT:
        raise ValueError("a subject of %d characters" % len(name))
    return name


def name_of(name: bytes) -> str:
    """A Name (DER) as RFC 2253 writes it: last part first. ValueError."""
    kind, contents, _ = _first(name)
    if kind != _SEQUENCE:
        raise ValueError("a name is a sequence")
    parts = ["+".join(_attribute(each) for each in _elements(one)) for _, one, _ in _elements(contents)]
    return ",".join(reversed(parts))


def _attribute(element: Element) -> str:
    (kind, number, _), (tag, value, whole) = _elements(element[1])
    if kind != _OID:
        raise ValueError("an attribute begins with its type")
    dotted = _dotted(number)
    keyword = _KEYWORDS.get(dotted)
    if keyword is None or tag not in _TEXTS:
        return "%s=#%s" % (keyword or dotted, whole.hex())
    return "%s=%s" % (keyword, _escaped(value.decode("utf-8", "replace")))


def _escaped(text: str) -> str:
    inner = text.strip(" \r")
    lead = len(text) - len(text.lstrip(" \r"))
    before, after = text[:lead], text[lead + len(inner) :]
    escaped = "".join("\\" + each if each in _ESCAPED else "\\00" if each == "\0" else each for each in inner)
    return "".join("\\" + each for each in before) + escaped + "".join("\\" + each for each in after)


def _dotted(number: bytes) -> str:
    arcs: List[int] = []
    arc = 0
    for byte in number:
        arc = arc << 7 | byte & 0x7F
        if byte < 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs:
        raise ValueError("a type without a number")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


# --- DER ----------------------------------------------------------------------------------------


def _elements(data: bytes) -> Iterator[Element]:
    at = 0
    while at < len(data):
        kind, start, size = data[at], at, _byte(data, at + 1)
        at += 2
        if size >= 0x80:
            more = size & 0x7F
            size = int.from_bytes(data[at : at + more], "big")
            at += more
        if at + size > len(data):
            raise ValueError("it ends too early")
        yield kind, data[at : at + size], data[start : at + size]
        at += size


def _first(data: bytes) -> Element:
    for element in _elements(data):
        return element
    raise ValueError("there is nothing in it")


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise ValueError("it ends too early")
    return data[at]
