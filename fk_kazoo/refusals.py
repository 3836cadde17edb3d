"""What a client is given that belongs to servers, which a deployment has not: refused, with the reason."""

from __future__ import annotations

from typing import Any, Dict, List

from .exceptions import DeploymentConfigurationError

_TLS = ("keyfile", "keyfile_password", "certfile", "ca", "use_ssl")


def refuse_server_options(options: Dict[str, Any]) -> None:
    """DeploymentConfigurationError for options of a client that are about its servers."""
    given: List[str] = [name for name in _TLS if options.get(name)]
    if given:
        raise DeploymentConfigurationError(
            "%s: there is no server to speak TLS with; leave it out. local:// never leaves this machine, aws:// always "
            "uses HTTPS" % ", ".join(given)
        )
    schemes = [entry[0] for entry in options.get("auth_data") or ()]
    if options.get("sasl_options") or "sasl" in schemes:
        raise DeploymentConfigurationError(
            "there is no server to authenticate to with SASL; use digest credentials (add_auth) for ACLs, and the "
            "cloud's own permissions for who may reach a deployment"
        )


def check_reconfig(joining: Any, leaving: Any, new_members: Any, from_config: Any) -> None:
    """TypeError as kazoo's, for arguments of a reconfiguration."""
    for name, value in (("joining", joining), ("leaving", leaving), ("new_members", new_members)):
        if value and not isinstance(value, str):
            raise TypeError("Invalid type for '%s' (string expected)" % name)
    if not isinstance(from_config, int):
        raise TypeError("Invalid type for 'from_config' (int expected)")
