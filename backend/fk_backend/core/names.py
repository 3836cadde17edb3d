"""Names of certificates in ``x509`` ACLs.

Rule: an ``x509`` ACL names a certificate's subject, in a form that Java's ``X500Principal`` can read.

It is compared as text with what `X500Principal.getName()` makes of a certificate, as ZooKeeper does
(``X509AuthenticationProvider``), so who writes it in another form names nobody.
"""

from __future__ import annotations

import re

_KEYWORDS = """CN C L S ST O OU T IP STREET DC DNQUALIFIER DNQ SURNAME GIVENNAME INITIALS GENERATION EMAIL EMAILADDRESS
UID SERIALNUMBER""".split()
_TYPE = r"\s*(?:%s|(?:OID\.)?[0-2](?:\.\d+)+)\s*" % "|".join(sorted(_KEYWORDS, key=len, reverse=True))
_ESCAPE = r"""\\(?:[0-9A-F]{2}|[,=+<>#;\\" \n])"""
_VALUE = r"""(?:\s*#(?:[0-9A-F]{2}){2,}\s*|\s*"(?:[^"\\]|\\.)*"\s*|(?!\s*[#"])(?:[^,+<>;"\\]|%s)*)""" % _ESCAPE
_ATTRIBUTE = "%s=%s" % (_TYPE, _VALUE)
_NAME = re.compile(r"%s(?:[,;+]%s)*" % (_ATTRIBUTE, _ATTRIBUTE), re.IGNORECASE)


def is_distinguished_name(text: str) -> bool:
    """Whether Java reads it as a name; the empty one is a name, too."""
    return not text or _NAME.fullmatch(text) is not None
