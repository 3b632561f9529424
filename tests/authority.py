"""A certificate authority for tests: certificates of hosts and people, gone with their folder."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as files in PEM."""

    certificate: Path
    key: Path


class Authority:
    """Signs what it is asked to sign."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = folder / "ca.pem"
        self._write(self.certificate, self._begun(self._name, self._key).add_extension(basic, True))

    def host(self, name: str = "localhost", *, until: timedelta = DAY) -> Pair:
        """Return the certificate of a host, by name or number."""
        try:
            known: x509.GeneralName = x509.IPAddress(ip_address(name))
        except ValueError:
            known = x509.DNSName(name)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternative = x509.SubjectAlternativeName([known])
        return self._signed(f"host-{name}", subject, until, (alternative, False))

    def person(self, rfc4514: str) -> Pair:
        """Return the certificate of a subject, written as RFC 4514 writes it."""
        number = len(list(self._folder.iterdir()))
        return self._signed(f"person-{number}", x509.Name.from_rfc4514_string(rfc4514), DAY)

    def _signed(
        self,
        name: str,
        subject: x509.Name,
        until: timedelta,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        begun = self._begun(subject, key, until)
        for extension, critical in extensions:
            begun = begun.add_extension(extension, critical)
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        self._write(pair.certificate, begun)
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: timedelta = DAY
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * DAY)
            .not_valid_after(now + until)
        )

    def _write(self, path: Path, begun: x509.CertificateBuilder) -> None:
        made = begun.sign(self._key, hashes.SHA256())
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
