"""The operations page and the page that asks for the token, joined from their files. Knows nothing of the service.

Each is one document without outside assets. Its content security policy names its own script and style by their
hashes, so a browser runs nothing else.
"""

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Final

STYLE, SCRIPT, SAID = "/* style */", "/* script */", "<!-- said -->"
"""Where things go in. A page without a script has no place for one."""

POLICY: Final = "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'; "


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A document, and the content security policy to be sent with it."""

    body: bytes
    policy: str


def operations_page() -> Page:
    """Return the operations page: it asks only the service, and sends nothing anywhere."""
    return _page("index.html", styles=("tokens.css", "page.css"), scripts=SCRIPTS, forms="'none'")


def token_page(*, said: str = "") -> Page:
    """Return the page that asks for the token, and what it says first. It works without a script."""
    return _page("token.html", styles=("tokens.css", "token.css"), scripts=(), forms="'self'", said=said)


SCRIPTS: Final = ("words.js", "charts.js", "tables.js", "search.js", "page.js")


def _page(name: str, *, styles: tuple[str, ...], scripts: tuple[str, ...], forms: str, said: str = "") -> Page:
    style, script = _joined(styles), _joined(scripts)
    document = _file(name).replace(STYLE, style).replace(SCRIPT, script).replace(SAID, said)
    allowed = f"style-src {_hash(style)}; form-action {forms}"
    if scripts:
        allowed += f"; connect-src 'self'; script-src {_hash(script)}"
    return Page(body=document.encode(), policy=POLICY + allowed)


def _joined(names: tuple[str, ...]) -> str:
    return "".join(_file(name) for name in names)


def _file(name: str) -> str:
    return resources.files("consumer").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
