"""Addresses of MongoDB servers, and the passwords that must not be seen.

What may be shown, written and sent is the *public* address: it lacks the password and every
other secret. The secrets stay in memory, wrapped so that nothing prints them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from pydantic import SecretStr
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from atomate2_vogen.errors import StoreAddressError, StoreConnectionError
from atomate2_vogen.masking import mask

SCHEMES = ("mongodb://", "mongodb+srv://")
DEFAULT_DATABASE = "vogen"
PASSWORD_ENV = "VOGEN_MONGODB_PASSWORD"  # noqa: S105 - the name of a variable
"""Environment variable that holds the password where an address has a user and none."""

SECRET_OPTIONS = {"authmechanismproperties", "tlscertificatekeyfilepassword"}
"""URI options that may hold a secret, in lower case."""

NO_PASSWORD = {"MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI"}
"""Mechanisms that know who you are by other means."""


class MongoAddress:
    """Where a MongoDB database is: a public part, and secrets that never leave.

    Parameters
    ----------
    uri
        ``mongodb://`` or ``mongodb+srv://``, the database in its path.
    password_env
        Environment variable with the password, read when it is needed, where the URI has a
        user and no password.
    database
        Instead of the one in the path.

    Raises
    ------
    StoreAddressError
        If the URI cannot be read. The message does not repeat it.
    """

    def __init__(
        self, uri: str, password_env: str = PASSWORD_ENV, database: str | None = None
    ) -> None:
        scheme = next((scheme for scheme in SCHEMES if uri.startswith(scheme)), None)
        if scheme is None:
            raise StoreAddressError(
                "the address of a MongoDB server begins with mongodb:// or mongodb+srv://"
            )
        rest, _, options = uri[len(scheme) :].partition("?")
        authority, _, path = rest.partition("/")
        if "@" in path or "@" in options:
            raise StoreAddressError(
                "user, password and options in a MongoDB URI must be percent-encoded: write "
                "%40 for @, %2F for /, %3F for ?, %3A for : and %25 for %"
            )
        user, _, hosts = authority.rpartition("@")
        name, colon, password = user.partition(":")
        if not hosts or ":" in password:
            raise StoreAddressError(
                "a MongoDB URI is mongodb://host[:port]/database[?options], where needed with user "
                "and password before the host, both percent-encoded"
            )
        pairs = [pair for pair in options.split("&") if pair]
        shown = [p for p in pairs if p.partition("=")[0].lower() not in SECRET_OPTIONS]
        self.place = f"{scheme}{hosts}"
        self.database = database or unquote(path) or DEFAULT_DATABASE
        self.password_env = password_env
        self.options = {
            p.partition("=")[0].lower(): unquote_plus(p.partition("=")[2]) for p in shown
        }
        self._head = f"{scheme}{name}"
        self._tail = f"{hosts}/{path}"
        self._name = name
        self._shown = "&".join(shown)
        self._pairs = SecretStr("&".join(pairs))
        self._password = SecretStr(password) if colon else None
        self._has_secret_options = len(shown) != len(pairs)
        self._check(scheme)

    @classmethod
    def of(
        cls,
        host: str,
        port: int | None = None,
        *,
        database: str,
        username: str | None = None,
        password: str | None = None,
        password_env: str = PASSWORD_ENV,
        options: Mapping[str, str] | None = None,
    ) -> MongoAddress:
        """An address from its parts.

        Parameters
        ----------
        host
            Name or address, or a URI without user.
        port
            Where the host does not say it.
        database, username, password, password_env
            Plain text, not percent-encoded.
        options
            Of the URI.

        Raises
        ------
        StoreAddressError
            If they make no URI.
        """
        scheme, separator, rest = host.rpartition("://")
        authority, _, tail = rest.partition("/")
        if not separator:
            host = f"[{host}]" if host.count(":") > 1 and "[" not in host else host
            scheme, authority, tail = "mongodb", host if port is None else f"{host}:{port}", ""
        if username and "@" not in authority:
            secret = "" if password is None else f":{quote_plus(password)}"
            authority = f"{quote_plus(username)}{secret}@{authority}"
        path, _, asked = tail.partition("?")
        pairs = [asked] if asked else []
        pairs += [f"{key}={quote_plus(str(value))}" for key, value in (options or {}).items()]
        question = f"?{'&'.join(pairs)}" if pairs else ""
        uri = f"{scheme}://{authority}/{path or quote(database, safe='')}{question}"
        return cls(uri, password_env, database)

    def _check(self, scheme: str) -> None:
        if scheme != SCHEMES[0]:
            return  # a look-up in the DNS: when it connects
        reason = None
        try:
            parse_uri(self.public)
        except (PyMongoError, ValueError) as error:
            reason = self.redact(str(error))
        if reason is not None:  # outside of the handler: no chain may hold what was parsed
            raise StoreAddressError(f"not a MongoDB URI: {reason}")

    @property
    def public(self) -> str:
        """The URI without password and secret options."""
        at = "@" if self._name else ""
        question = f"?{self._shown}" if self._shown else ""
        return f"{self._head}{at}{self._tail}{question}"

    @property
    def full(self) -> str:
        """The URI to connect with.

        Raises
        ------
        StoreConnectionError
            If it needs a password that is nowhere.
        """
        pairs = self._pairs.get_secret_value()
        question = f"?{pairs}" if pairs else ""
        if not self._name:
            return f"{self._head}{self._tail}{question}"
        password = self._found_password()
        colon = "" if password is None else f":{password.get_secret_value()}"
        return f"{self._head}{colon}@{self._tail}{question}"

    @property
    def complete(self) -> str:
        """As `full`, but a password that must be looked up is left to be looked up."""
        return self.full if self._password is not None or self._has_secret_options else self.public

    def _found_password(self) -> SecretStr | None:
        if self._password is not None:
            return self._password
        mechanism = self.options.get("authmechanism", "").upper()
        if mechanism in NO_PASSWORD or not self._name:
            return None
        found = os.environ.get(self.password_env)
        if not found:
            raise StoreConnectionError(
                f"{self} needs a password for the user {unquote(self._name)}: set the environment "
                f"variable {self.password_env}"
            )
        return SecretStr(quote_plus(found))

    def redact(self, text: str) -> str:
        """The text with every secret of this address replaced, percent-encoded or not."""
        secrets = [] if self._password is None else [self._password.get_secret_value()]
        secrets += [quote_plus(found)] if (found := os.environ.get(self.password_env)) else []
        for pair in self._pairs.get_secret_value().split("&"):
            key, _, value = pair.partition("=")
            if key.lower() in SECRET_OPTIONS:
                # key:value pairs, of which the values are the secrets
                secrets += [value, *(part.partition(":")[2] for part in value.split(","))]
        return mask(text, secrets)

    def __str__(self) -> str:
        """Servers and database, nothing else."""
        return f"{self.place}/{self.database}"

    def __repr__(self) -> str:
        """As `str`."""
        return f"MongoAddress({str(self)!r})"
