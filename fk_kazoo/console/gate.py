"""Who may ask: whoever has the token that is in the link, from the page itself, on this machine.

Rule upheld here: nothing is answered, not even an error that says more than "no", before the token, the name that the
browser calls this server by, and the page that the request comes from have been found good. Names are looked at because
of DNS rebinding: a page of somebody else's domain can make that domain mean 127.0.0.1.
"""

from __future__ import annotations

import hmac
from typing import Any, Awaitable, Callable, Dict, MutableMapping

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

HEADERS: Dict[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer. Nothing comes from elsewhere, and nobody may put the page into his own."""


class Gate:
    """Lets through to ``app`` what is below ``/TOKEN/``, with that taken off the path."""

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._names = ("127.0.0.1:%d" % port, "localhost:%d" % port)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        path = self._allowed(scope)
        if path is None:
            refusal = PlainTextResponse("not allowed: open the link that fk-kazoo console printed\n", 403, HEADERS)
            return await refusal(scope, receive, send)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.lower().encode(), v.encode()) for k, v in HEADERS.items() if k.lower().encode() not in given),
                ]
            await send(message)

        await self._app({**scope, "path": path, "raw_path": path.encode(), "root_path": ""}, receive, with_headers)

    def _allowed(self, scope: Scope) -> "str | None":
        """The path below the token, or None."""
        headers = Headers(scope=scope)
        _, token, rest = (scope["path"] + "//").split("/", 2)
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token):
            return None
        if headers.get("host") not in self._names:
            return None
        origin = headers.get("origin")
        if origin is not None and origin not in ["http://" + name for name in self._names]:
            return None
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return None
        if scope["method"] not in ("GET", "HEAD") and headers.get("content-type") != "application/json":
            return None  # what a form of another page can send is no JSON
        return "/" + str(rest.rstrip("/"))
