"""``fk-kazoo serve``: from its arguments to the gateway.

Rule upheld here: importing this module imports nothing that an app may want to patch before it is imported.
"""

from __future__ import annotations

import argparse
from typing import Any, Sequence

from . import operation

COMMAND = "serve"


def call(options: argparse.Namespace) -> int:
    """Runs until SIGINT or SIGTERM; the exit code."""
    import asyncio
    import logging
    import signal

    from fk_backend.errors import BackendError, WrongUsage
    from fk_kazoo.gateway import process
    from fk_kazoo.url import parse

    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(message)s")
    try:
        url = parse(options.url)
        settings = _settings(options, url)
        if url.chroot:
            raise WrongUsage("give the deployment without a chroot: clients say theirs, as with ZooKeeper")
        ended_by = asyncio.run(process.serve(url, settings))
    except (BackendError, OSError) as error:
        return operation.print_error(COMMAND, str(error), operation.code_of(error))
    return operation.INTERRUPTED if ended_by == signal.SIGINT else 0


def _settings(options: argparse.Namespace, url: Any):  # type: ignore[no-untyped-def] # see the rule
    import ssl

    from fk_backend.errors import WrongUsage
    from fk_kazoo.gateway.settings import Settings

    host, port = _address("--listen", options.listen)
    admin = None if options.admin is None else _address("--admin", options.admin)
    tls = None
    if options.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
        if options.tls_client_ca:
            tls.load_verify_locations(options.tls_client_ca)
            tls.verify_mode = ssl.CERT_REQUIRED
    elif options.tls_key or options.tls_client_ca:
        raise WrongUsage("--tls-key and --tls-client-ca go with --tls-cert")
    words = frozenset(word.strip() for word in options.words.split(",") if word.strip())
    return Settings(
        str(url), url.namespace, host, port, words, options.max_client_cnxns, options.max_cnxns,
        options.jute_maxbuffer, options.drain, tls, admin, tuple(_more(options.namespace, url)),
    )  # fmt: skip


def _more(given: Sequence[str], url: Any):  # type: ignore[no-untyped-def] # see the rule
    from dataclasses import replace

    from fk_backend.errors import WrongUsage
    from fk_backend.layout import is_namespace
    from fk_kazoo.gateway.settings import Also

    known = {url.namespace}
    for text in given:
        name, equals, address = text.partition("=")
        if not equals or not is_namespace(name):
            raise WrongUsage("--namespace takes NAME=HOST:PORT, not %r" % text)
        if name in known:
            raise WrongUsage("the namespace %s is served already: give it once, and not if it is the URL's" % name)
        known.add(name)
        yield Also(str(replace(url, namespace=name)), name, *_address("--namespace", address))


def _address(option: str, text: str):  # type: ignore[no-untyped-def] # see the rule
    from fk_backend.errors import WrongUsage

    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise WrongUsage("%s takes HOST:PORT, not %r" % (option, text))
    return host.strip("[]"), int(port)
