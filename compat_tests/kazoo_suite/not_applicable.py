"""Tests of kazoo that say nothing about a deployment, one by one, each with its own reason. Everything else runs.

A test that would pass without testing anything belongs here as well: it is not counted as passed.
"""

from __future__ import annotations

from typing import Dict

NOT_APPLICABLE: Dict[str, str] = {
    "test_build.py::TestBuildEnvironment::test_zookeeper_version": (
        "checks that kazoo's CI installed the ZooKeeper release it was told to; skips itself elsewhere, and here "
        "no ZooKeeper is installed"
    ),
    "test_client.py::TestSSLClient::test_create": (
        "connects over TLS with certificates of a test CA; a deployment has no socket to speak TLS on, and a create "
        "that merely ignored the certificates would pass without testing them"
    ),
    "test_client.py::TestReconfig::test_add_remove_observer": (
        "adds an observer to the ensemble and removes it again; a deployment has no ensemble, and reconfig says so"
    ),
    "test_sasl.py::TestLegacySASLDigestAuthentication::test_connect_sasl_auth": (
        "logs in with SASL DIGEST-MD5 through auth_data; refused with a message, and ignoring the login would pass"
    ),
    "test_sasl.py::TestLegacySASLDigestAuthentication::test_invalid_sasl_auth": (
        "the server rejects a SASL password given through auth_data; there is no SASL server to reject it"
    ),
    "test_sasl.py::TestSASLDigestAuthentication::test_connect_sasl_auth": (
        "logs in with SASL DIGEST-MD5 through sasl_options; refused with a message, and ignoring the login would pass"
    ),
    "test_sasl.py::TestSASLDigestAuthentication::test_invalid_sasl_auth": (
        "the server rejects a SASL password given through sasl_options; there is no SASL server to reject it"
    ),
    "test_sasl.py::TestSASLGSSAPIAuthentication::test_connect_gssapi_auth": (
        "logs in with a ticket of a Kerberos test realm; needs the realm, and a server that is a principal of it"
    ),
    "test_sasl.py::TestSASLGSSAPIAuthentication::test_invalid_gssapi_auth": (
        "the server rejects a Kerberos ticket that is not valid yet; needs the realm, and a server to reject it"
    ),
}
"""Test (file::class::test) → reason."""

ON_GATEWAYS = frozenset({"test_client.py::TestSSLClient::test_create"})
"""Those that say something where the client speaks to gateways, which do speak TLS."""

BY_RELEASE: Dict[str, Dict[str, str]] = {}
"""Release of kazoo → tests that do not work in it, with ZooKeeper neither, and why."""
