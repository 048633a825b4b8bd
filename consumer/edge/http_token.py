"""Who may see the page, `/status` and `/sends`: whoever has the token, in a header or in the browser's session.

A browser hands the token in once, in a form; from then on a cookie that is made from it speaks for it. The token
itself stands in no address, cookie or log line. A cookie holds as long as the browser's session and the token do.
"""

import hashlib
import hmac
from typing import Final

from aiohttp import web

OPEN: Final = frozenset({"/metrics", "/healthz", "/readyz", "/session"})
"""Probes and metrics are open; `/session` is where the token is handed in."""

SCHEME: Final = "bearer "


class Token:
    """The token of the configuration; None: everything is open."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode(errors="replace")
        key = b"" if self._token is None else self._token
        digest = hmac.digest(key, b"campaign-consumer: a session of the operations page", hashlib.sha256).hex()
        self._cookie, self._session = f"campaign-consumer-{digest[:8]}", digest[8:]
        # Browsers send cookies to every port of a host: the name keeps instances with other tokens apart.

    def lets_in(self, request: web.Request) -> bool:
        """Return whether a request may see what it asks for."""
        if self._token is None or request.path in OPEN:
            return True
        given = request.headers.get("Authorization", "")
        if given[: len(SCHEME)].lower() == SCHEME and self.is_right(given[len(SCHEME) :].strip()):
            return True
        return _same(request.cookies.get(self._cookie, ""), self._session.encode())

    def is_right(self, given: str) -> bool:
        """Return whether this is the token, in a time that does not depend on where the two differ."""
        return self._token is None or _same(given, self._token)

    def begin_session(self, answer: web.StreamResponse) -> None:
        """Let the browser that gets this answer in until it is closed. Its path is the one under which it asked."""
        cookie = f"{self._cookie}={self._session}; HttpOnly; SameSite=Strict"
        answer.headers.add("Set-Cookie", cookie)


def _same(given: str, right: bytes) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), right)
