"""Our private keys, parsed once per process and asked for by whom they speak for."""

from collections.abc import Mapping
from functools import cache

from bridge.activitypub.ids import Ids
from bridge.activitypub.keys import SigningKey, multibase, public_pem
from bridge.errors import BadKey, StoreError
from bridge.store.identity import INSTANCE


class Keyring:
    """The keys of the instance actor and of every site."""

    def __init__(self, ids: Ids, private_pems: Mapping[tuple[str, str], str]) -> None:
        self._ids = ids
        self._pems = private_pems
        # Parsing a private key takes tens of milliseconds: once per process, and only for those used.
        self.of_site = cache(self._of_site)
        self.public = cache(self._public)

    @property
    def instance(self) -> SigningKey:
        """The key that signs our GETs."""
        return self.of_site(INSTANCE)

    def refuse_unreadable(self) -> None:
        """Raise `StoreError` for a key that cannot be parsed: nothing would be delivered under its name."""
        for (owner, _), pem in self._pems.items():
            try:
                public_pem(pem)
            except (BadKey, ValueError, TypeError) as error:
                whose = f"site {owner!r}" if owner else "instance actor"
                raise StoreError(
                    f"The private key of the {whose} in the database cannot be read: restore a backup "
                    "(docs/operations.md says how)."
                ) from error

    def _of_site(self, site: str) -> SigningKey:
        return SigningKey.from_pem(self._ids.rsa_key(self._actor(site)), self._pems[site, "rsa"])

    def _public(self, site: str) -> tuple[str, str]:
        """Return (RSA public key PEM, Ed25519 public key multibase) for a site's actor document."""
        return public_pem(self._pems[site, "rsa"]), multibase(self._pems[site, "ed25519"])

    def _actor(self, site: str) -> str:
        return self._ids.actor(site) if site else self._ids.instance
