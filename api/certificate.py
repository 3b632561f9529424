"""Authentication by certificates that a trusted proxy has checked.

The proxy's headers count only if the call comes from its address and has the shared secret. The
proxy drops such headers of clients.
"""

import hmac
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from api.problems import Unauthenticated
from dynamo.errors import Forbidden
from dynamo.inventory.subjects import comma, either
from dynamo.logs import logger
from dynamo.settings import Proxy

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SUBJECT = "HTTP_X_CLIENT_SUBJECT"
SECRET = "HTTP_X_PROXY_SECRET"  # noqa: S105 - the name of a header

log = logger("api")


class Certificates:
    """Accepts the users that one proxy names."""

    def __init__(self, proxy: Proxy) -> None:
        self._networks = [ip_network(address) for address in proxy.addresses]
        self._secret = proxy.secret.get_secret_value().encode()
        self._users = {either(subject): user for subject, user in proxy.users.items()}

    def user(self, environ: "WSGIEnvironment") -> str | None:
        """Return the user of a call's certificate; None without a certificate.

        Raises Unauthenticated if the headers are not the proxy's, Forbidden for an unknown subject.
        """
        subject = environ.get(SUBJECT)
        if not subject:
            return None
        if not self._from_proxy(environ):
            log.warning("subject not from the proxy", address=environ.get("REMOTE_ADDR"))
            raise Unauthenticated("send the header Authorization: Bearer <token>")
        try:
            user = self._users.get(comma(subject))
        except ValueError as error:
            raise Unauthenticated(str(error)) from None
        if user is None:
            raise Forbidden("the certificate belongs to no user; an operator can assign it to one")
        return user

    def _from_proxy(self, environ: "WSGIEnvironment") -> bool:
        try:
            address = ip_address(environ.get("REMOTE_ADDR") or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        near = any(mapped in network for network in self._networks)
        sent = str(environ.get(SECRET, "")).encode("utf-8", "replace")
        return near and hmac.compare_digest(sent, self._secret)
