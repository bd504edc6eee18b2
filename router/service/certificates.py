"""Our certificate, at every port that speaks TLS: one way to read it, and one sentence where it cannot be read."""

from __future__ import annotations

import ssl

from router.errors import ConfigError


def server_context(option: str, certificate: str, key: str) -> ssl.SSLContext | None:
    """For what listens; None without a certificate.

    `key` may be empty: it stands in the certificate's file then. Raises ConfigError that names the option.
    """
    if not certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigError(option, "readable PEM files of a certificate and its key", str(problem)) from problem
    return context
