"""Who may purge and explain on the admin listener."""

from __future__ import annotations

import hmac
import ipaddress

from pydantic import SecretStr


class Denied(Exception):
    """The request is not answered; `status` is 401 or 403, the text what to do about it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def check_access(
    *, token: SecretStr | None, authorization: str, host: str, public: bool, is_file: bool
) -> None:
    """Raises: Denied.

    With a token the request must bring it. Without one only this machine is served, and of what comes from
    this machine nothing that a foreign page made a browser send: such a page knows a name for this address,
    never the address itself (DNS rebinding).
    """
    if token is not None:
        if not _is_token(authorization, token):
            told = "send `Authorization: Bearer TOKEN`" if not authorization else "the token is another"
            raise Denied(401, f"this needs the token of admin.token: {told}")
        return
    if public:
        raise Denied(403, "others can reach this address, so this needs a token: set admin.token")
    if not is_file and not _is_address(host):
        raise Denied(
            403, f"the Host is {host[:100]!r}; without admin.token use the address itself, or localhost"
        )


def _is_token(authorization: str, token: SecretStr) -> bool:
    scheme, _, credentials = authorization.partition(" ")
    given = credentials.strip(" ").encode("utf-8", "surrogateescape")
    same = hmac.compare_digest(given, token.get_secret_value().encode())  # in constant time
    return scheme.lower() == "bearer" and same


def _is_address(host: str) -> bool:
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() == "localhost"
    return True
