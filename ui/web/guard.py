"""Which requests are looked at: the rules about Host, Origin and Sec-Fetch-Site, and the headers of every answer.

A page of another site can make a browser send requests here (CSRF), and with a name of its own that it lets point to this machine it
could even read the answers (DNS rebinding). The first is told by what browsers say of where a request comes from, the second by the
name in `Host`: IP addresses and localhost cannot be bent, any other name must be one that the user named.
"""

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SAME_SITE: Final = frozenset({"same-origin", "none"})   # "none": typed by the user

# No inline code, nothing from elsewhere, in nobody's frame, and no text becomes markup (Trusted Types)
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def why_cross_site(method: str, headers: Mapping[str, str]) -> str:
    """Return why a request that changes state comes from elsewhere; '' when it does not.

    One with neither header comes from no browser of this decade, so nobody's page can have sent it.
    """
    if method in SAFE_METHODS:
        return ""
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None and site not in SAME_SITE:
        return f"a page of another site sent this (Sec-Fetch-Site: {site[:40]})"
    if origin is not None and _authority(origin) != headers.get("Host", "").lower():
        return f"a page of another site sent this (Origin: {origin[:200]})"
    return ""


def _authority(origin: str) -> str | None:
    """'https://host:8443' → 'host:8443'; None for 'null' and what is no origin."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None


def is_our_name(host: str, names: frozenset[str]) -> bool:
    """Tell whether `host`, the Host of a request, cannot have been bent: an IP address, localhost, or one of `names`. Any port: tunnels
    and proxies have their own.
    """
    try:
        parts = urlsplit(f"//{host}")
        name = (parts.hostname or "").rstrip(".")
        parts.port                                      # noqa: B018 - raises ValueError
    except ValueError:
        return False
    if parts.path or parts.query or parts.fragment or "@" in host:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
