"""``serve``: the wire gateway."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import click

from fk_kazoo.commands import serve

from .formats import Size


@click.command("serve")
@click.argument("url", metavar="URL")
@click.option("--listen", default="127.0.0.1:2181", show_default=True, metavar="HOST:PORT", help="Where.")
@click.option("--namespace", multiple=True, metavar="NAME=HOST:PORT",
              help="One more namespace, on a port of its own; as often as there are.")  # fmt: skip
@click.option("--words", default="srvr,isro", show_default=True, help="Four letter words that are answered; * for all.")
@click.option("--max-client-cnxns", type=click.IntRange(min=0), default=60, show_default=True, metavar="N",
              help="Connections of one address at most; 0 for any number.")  # fmt: skip
@click.option("--max-cnxns", type=click.IntRange(min=0), default=0, metavar="N",
              help="Connections of all addresses at most; else as many as there may be files.")  # fmt: skip
@click.option("--jute-maxbuffer", type=Size(), default="1048575", show_default=True, help="Bytes of a request at most.")
@click.option("--drain", type=click.FloatRange(min=0), default=5.0, show_default=True, metavar="SECONDS",
              help="How long SIGTERM waits.")  # fmt: skip
@click.option("--tls-cert", metavar="FILE", help="Speak TLS with this certificate chain (PEM).")
@click.option("--tls-key", metavar="FILE", help="Its private key, if it is not in the same file.")
@click.option("--tls-client-ca", metavar="FILE", help="And ask for client certificates of this authority.")
@click.option("--admin", metavar="HOST:PORT", help="Health and Prometheus metrics over HTTP.")
@click.option("--verbose", is_flag=True, help="Say what becomes of each connection.")
def serve_command(**options: Any) -> int:
    """Speak ZooKeeper's protocol in front of a deployment.

    For clients in any language. URL is the deployment, without a chroot. SIGTERM drains it: sessions go on at another
    gateway.

    \b
    fk-kazoo serve local://app --listen 0.0.0.0:2181
    """
    return serve.call(Namespace(**options))
