"""The authorities by which this machine knows whom it talks to."""

import ssl
from functools import cache

import httpx2


@cache
def trusted() -> ssl.SSLContext:
    """Read once: reading them again for each client would take 20 ms each time. A change counts after a restart."""
    return httpx2.create_ssl_context()
