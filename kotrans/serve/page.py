"""The page, and the policy that lets a browser run what is in it and nothing else."""

import base64
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

_INLINE = {
    "script": re.compile(r"<script>(.*?)</script>", re.DOTALL),
    "style": re.compile(r"<style>(.*?)</style>", re.DOTALL),
}


class Page(NamedTuple):
    """HTML, and its Content-Security-Policy."""

    html: str
    policy: str


def load_page() -> Page:
    """The page as it lies in the package."""
    html = Path(__file__).with_name("page.html").read_text("utf-8")
    sources = "; ".join(f"{kind}-src {_hashes(kind, html)}" for kind in _INLINE)
    return Page(
        html,
        f"default-src 'none'; {sources}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def _hashes(kind: str, html: str) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in _INLINE[kind].findall(html))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
