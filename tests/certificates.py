"""Certificates for this machine, believed by who is told to."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from wsrecorder.net.tls import Certificate


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate for 127.0.0.1 and its key."""
    private = rsa.generate_private_key(65537, 2048)
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number(), now, now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    kind, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(private.private_bytes(serialization.Encoding.PEM, kind, bare))
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return Certificate(folder / "cert.pem", folder / "key.pem")


class Authority(NamedTuple):
    """Who signs certificates.

    Attributes:
        folder: Where its files are.
        path: Its own certificate.
        key: Its private key.
        name: Its name.
    """

    folder: Path
    path: Path
    key: rsa.RSAPrivateKey
    name: x509.Name

    def issue(self, stem: str, host: str = "localhost", days: tuple[int, int] = (-1, 1)) -> Certificate:
        """Make a certificate for a host, valid from so many days from now to so many."""
        private, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem)])
        since, until = (now + timedelta(day) for day in days)
        made = (
            x509.CertificateBuilder(self.name, subject, private.public_key(), x509.random_serial_number(), since, until)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _kept(self.folder, stem, made, private)


def make_authority(folder: Path) -> Authority:
    """Make an authority that nobody knows yet."""
    private, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    usage = {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    made = (
        x509.CertificateBuilder(
            name, name, private.public_key(), x509.random_serial_number(), now - timedelta(2), now + timedelta(2)
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage, **dict.fromkeys((*others, "decipher_only"), False)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    return Authority(folder, _kept(folder, "authority", made, private).cert, private, name)


def _kept(folder: Path, stem: str, made: x509.Certificate, private: rsa.RSAPrivateKey) -> Certificate:
    kind, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    found = Certificate(folder / f"{stem}.pem", folder / f"{stem}.key")
    found.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(private.private_bytes(serialization.Encoding.PEM, kind, bare))
    return found
