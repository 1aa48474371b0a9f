"""TLS to the broker: its context from three files, and what a failed handshake means."""

import asyncio
import os
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from moteye.errors import ConfigError

PROBE_S = 5.0
ALERT_S = 1.0  # how long to wait for a refusal that comes behind the handshake (TLS 1.3)


@dataclass(frozen=True)
class TlsFiles:
    """What to believe and what to show; PEM files.

    `ca`: the authority that signed the broker's certificate; None: those that the machine trusts.
    `cert`, `key`: our own certificate and its private key, where the broker wants one.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


NO_FILES = TlsFiles()


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """A context that checks the broker's certificate and its name, with no way around it.

    Raises ConfigError that names the setting and the file.
    """
    for name in ("ca", "cert", "key"):
        path = getattr(files, name)
        if path is not None and not os.access(path, os.R_OK):
            reason = "cannot be read" if path.exists() else "no such file"
            raise ConfigError(f"tls_{name}: {path}: {reason}")
    if (files.cert is None) != (files.key is None):
        missing = "tls_key" if files.key is None else "tls_cert"
        raise ConfigError(f"{missing} is missing: a certificate and its private key go together")
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except ssl.SSLError:
        raise ConfigError(f"tls_ca: {files.ca}: not a certificate in PEM format") from None
    if files.cert is not None and files.key is not None:
        if stat.S_IMODE(files.key.stat().st_mode) & 0o077:
            raise ConfigError(f"tls_key: {files.key}: others may read it; `chmod 600 {files.key}`")
        _load_own(context, files.cert, files.key)
    return context


def _load_own(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    def ask() -> str:
        raise ConfigError(f"tls_key: {key}: has a password; give one without, readable by you only")

    try:
        context.load_cert_chain(cert, key, password=ask)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"tls_key: {key} is not the key of {cert}") from None
        raise ConfigError(
            f"tls_cert: {cert} and tls_key: {key} are not a certificate and a key in PEM format"
        ) from None


def explain(error: Exception, *, host: str, own: bool) -> str | None:
    """What a failed handshake with `host` means and what to do; None where TLS did not fail.

    `own`: whether we showed a certificate.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error, host)
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError):
        return "the broker hung up in the middle of the TLS handshake: does that port speak TLS?"
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or str(error)
    if "CERTIFICATE_REQUIRED" in reason or ("HANDSHAKE_FAILURE" in reason and not own):
        return "the broker wants a certificate of ours: name it with tls_cert and tls_key"
    if "ALERT" in reason and own:
        return f"the broker does not accept our certificate ({reason.lower().replace('_', ' ')})"
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "what answers on that port does not speak TLS: another port, or mqtt:// in its place"
    return f"TLS failed: {reason.lower().replace('_', ' ')}"


def _verification(error: ssl.SSLCertVerificationError, host: str) -> str:
    text = error.verify_message
    if "expired" in text:
        return "the broker's certificate has expired: renew it there (or set this machine's clock)"
    if "not yet valid" in text:
        return "the broker's certificate is not valid yet: is this machine's clock right?"
    if "match" in text:
        return f"the broker's certificate is not for {host}: use a name that stands in it"
    return f"the broker's certificate is not signed by an authority we know ({text}): see tls_ca"


async def probe(host: str, port: int, context: ssl.SSLContext, *, own: bool) -> str | None:
    """Shake hands once, to learn why a connection failed; None where TLS works."""
    try:
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError) as error:
        return explain(error, host=host, own=own)
    try:
        async with asyncio.timeout(ALERT_S):
            await reader.read(1)
    except TimeoutError:
        return None  # it waits for us to speak
    except OSError as error:
        return explain(error, host=host, own=own)
    finally:
        writer.close()
    return None
