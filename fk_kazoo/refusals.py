"""Refuses options that are about servers (SASL, TLS, …), which a deployment has not, with the reason."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Optional, Tuple

from kazoo.exceptions import BadArgumentsError, NoAuthError, UnimplementedError

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


def reconfig_error(joining: Optional[str], new_members: Optional[str], auth: Collection[Tuple[str, str]]) -> Exception:
    """What a reconfiguration comes to: ZooKeeper's own error, where there is one."""
    advice = "a deployment has no servers to add or remove; it needs none: leave reconfig out"
    members = "%s,%s" % (joining or "", new_members or "")
    if any("=" not in member for member in members.split(",") if member.strip()):
        return BadArgumentsError("not a list of servers, and " + advice)
    if not any(scheme == "digest" and credential.startswith("super:") for scheme, credential in auth):
        return NoAuthError("reconfig is for the super user, and " + advice)
    return UnimplementedError(advice)
