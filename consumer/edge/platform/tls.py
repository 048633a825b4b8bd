"""How the platform is spoken to over TLS: whose word counts for its certificate, and which one we show. Connects nowhere."""

import ssl
from pathlib import Path


def tls_context(
    *, cafile: Path | None = None, certfile: Path | None = None, keyfile: Path | None = None
) -> ssl.SSLContext:
    """Return what all connections to the platform share; the files are read once, here.

    `cafile` holds the authorities that may vouch for the platform, in the place of the system's. `certfile` and `keyfile`
    are shown to a platform that asks who we are.

    Raises:
        OSError: a file cannot be read, or holds something else.
    """
    context = ssl.create_default_context(cafile=cafile)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if certfile is not None:
        context.load_cert_chain(certfile, keyfile, password="")  # with an empty one OpenSSL does not prompt for it
    return context
