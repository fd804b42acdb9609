"""Decides who may use the admin API: the users whose token has the claim of RELAY_ADMIN_CLAIM.

Rules of this file: whoever is not explicitly permitted is refused; the token is verified like every other token.
"""

from __future__ import annotations

from typing import Self

from starlette.requests import Request

from relay.auth.admission import token_of
from relay.auth.tokens import KeySource, Verifier
from relay.config import Settings
from relay.tasks.claims import claim_at, texts_of
from relay.tasks.visibility import Principal


class Admins:
    """Recognises administrators by their tokens. A user is one if the claim `claim`, which may be the path of a nested
    one (`realm_access.roles`), is equal to `value`, or is a list that contains it. `verifier` keeps this claim."""

    def __init__(self, verifier: Verifier, claim: str, value: str) -> None:
        self._verifier = verifier
        self._claim = claim
        self._value = value

    @classmethod
    def of(cls, settings: Settings, source: KeySource) -> Self:
        """Return the administrators that the settings describe. `source` has the keys of their tokens."""
        claim, _, value = settings.relay_admin_claim.partition("=")
        return cls(Verifier.of(settings, source, [claim]), claim, value)

    def identify(self, request: Request) -> Principal:
        """Return the principal (the user) of the token in this request, who need not be an administrator.

        Raises Refused if the request presents its token in a wrong way (4500), the token is missing or not valid
        (4401), or no key to verify it is there yet (1011)."""
        return self._verifier.verify(token_of(request) or "")

    def includes(self, principal: Principal) -> bool:
        """Return whether this user is an administrator."""
        return self._value in texts_of(claim_at(principal.claims, self._claim))
