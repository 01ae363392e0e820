"""Addresses of servers and the key, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import os
import urllib.parse

from eimf_core.errors import ConfigError

API_KEY = "EIMF_API_KEY"
PATH = "/chat/completions"
EXAMPLE = "http://127.0.0.1:8080/v1"


def checked(urls: list[str], allow_remote: bool) -> list[str]:
    """The base addresses of endpoints, each once.

    Raises:
        ConfigError: where there is none, one is no address or holds a password, or is another machine's without leave.
    """
    if not urls:
        raise ConfigError(f"--engine server needs --server URL, such as {EXAMPLE}")
    return list(dict.fromkeys(_checked(url, allow_remote) for url in urls))


def _checked(url: str, allow_remote: bool) -> str:
    if "@" in url:
        # it would go to the resolver, into the sidecar and into messages; so it isn't shown here either
        raise ConfigError(f"--server: the URL holds a user name or a password; put a key into {API_KEY} instead")
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"--server {url}: is not a URL ({error})") from None
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(f"--server {url}: is not a URL (it holds blanks or characters other than ASCII)")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError(f"--server {url}: is not a URL such as {EXAMPLE}")
    if not allow_remote and not is_loopback(url):
        raise ConfigError(f"--server {url}: is another machine; give --allow-remote to send titles there")
    return url.rstrip("/").removesuffix(PATH)


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def key() -> str | None:
    """The key of the environment; ConfigError, which does not show it, where it cannot be one."""
    value = os.environ.get(API_KEY, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{API_KEY}: holds characters that no key has; set it anew")
    return value or None
