"""Admission: decides which clients may connect, with the same checks in the same order for WebSockets, polls and HTTP.

Rules of this file: whatever is not explicitly permitted is refused; each client that was counted by a cap (a maximum
number of connections) stops being counted exactly once; no log entry and no answer contains a token.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from starlette.requests import HTTPConnection

from relay.auth.addresses import Network, client_address
from relay.auth.limits import Caps
from relay.auth.origins import Origins, Transport
from relay.auth.refusal_log import RefusalLog
from relay.auth.rollout import Rollout
from relay.auth.tokens import Verifier
from relay.config import Settings
from relay.errors import Refused
from relay.protocol.types import BEARER_PREFIX, Close
from relay.tasks.visibility import Principal

TOKEN_PARAMETERS = ("token", "access_token", "jwt")


class Admission:
    """Makes every check that a request must pass before the relay serves it, in this order:

    1. `allows_origin`: a web page must come from an allowed origin.
    2. `enter`: the relay and the client's address must be below their connection caps.
    3. `token_of`: the request carries at most one token, and none in its query.
    4. `admit`: the token is valid, the rollout includes its user, and the user is below the cap.

    Not every kind of request goes through all steps at once:

    - `POST /poll` takes step 1, and then steps 2 to 4 together, by `admitted`.
    - A WebSocket client may send its token later, in its first message. So the endpoint takes steps 1 to 3, and the
      session takes step 4. Only step 1 refuses with an HTTP status, before the upgrade. Browsers hide the status of a
      failed upgrade from the page. So later steps refuse by a close code, after the upgrade was accepted.
    - `GET /config` is answered at once, so no cap counts it: it takes step 1 and then calls `identify`. It must also
      answer users outside the rollout, because its purpose is to tell them that they are: by `is_switched_on`.

    When a connection ends that was counted by `enter` or `admit`, the caller must call `leave` or `leave_user`.
    """

    def __init__(
        self,
        *,
        origins: Origins,
        caps: Caps,
        verifier: Verifier,
        rollout: Rollout,
        proxies: Sequence[Network] = (),
        refusals: RefusalLog | None = None,
    ) -> None:
        self.origins = origins
        self.refusals = refusals or RefusalLog()  # where those who make the checks log what they refuse
        self._caps = caps
        self._verifier = verifier
        self._rollout = rollout
        self._proxies = proxies  # the networks of proxies whose X-Forwarded-For headers are trusted

    def use(self, *, verifier: Verifier, rollout: Rollout, proxies: Sequence[Network]) -> None:
        """Check with these from now on. Clients that are connected stay, until `recheck` is called for them."""
        self._verifier = verifier
        self._rollout = rollout
        self._proxies = proxies

    def change_caps(self, settings: Settings) -> None:
        """Use the caps per user and per address of these settings from now on. Clients that are connected stay."""
        self._caps.change(settings)

    def recheck(self, principal: Principal) -> None:
        """Raise Refused if a client that is connected may not stay: the key that verified its token is no longer one of
        the keys (4401), or the rollout excludes its user (4502)."""
        if not self._verifier.still_trusts(principal):
            raise Refused(Close.UNAUTHENTICATED, "unauthenticated")
        if not self.is_switched_on(principal):
            raise Refused(Close.FEATURE_DISABLED, "feature_disabled")

    def allows_origin(self, request: HTTPConnection, transport: Transport) -> bool:
        """Return whether the page that sent this request may connect. A request without an `Origin` header does not
        come from a page, and is allowed. `transport` is the label that a refusal is counted under."""
        return self.origins.allows(request.headers.get("origin"), transport)

    def enter(self, address: str) -> None:
        """Count one connection for the client's address, which is that of `address_of`. The caller must pass the
        address to `leave` when the connection ends.

        Raises Refused (4430) if the relay or the address has its maximum number of connections already.
        """
        if not self._caps.enter(address):
            detail = "the relay or the address has the maximum number of connections"
            raise Refused(Close.AT_CAPACITY, "at_capacity", detail=detail)

    def address_of(self, request: HTTPConnection) -> str:
        """Return the address of the client: that of the peer, or, if the peer is a trusted proxy, what it says.

        It is empty for a Unix socket."""
        peer = request.client.host if request.client else ""
        return client_address(peer, request.headers.getlist("x-forwarded-for"), self._proxies)

    def leave(self, address: str) -> None:
        """Stop counting a connection that `enter` counted for this address."""
        self._caps.leave(address)

    def token_of(self, request: HTTPConnection) -> str | None:
        """Return the token of the request, and raise Refused (4500), like the function `token_of`."""
        return token_of(request)

    def admit(self, token: str) -> Principal:
        """Verify the token, check that the rollout includes its user, and count one connection for the user.

        Return the principal (the user of the token, with its claims). Raises Refused if the token is not valid (4401),
        no key to verify it is there yet (1011), the rollout excludes the user (4502), or the user has the maximum
        number of connections already (4430)."""
        principal = self.verify(token)
        if not self.is_switched_on(principal):
            raise Refused(Close.FEATURE_DISABLED, "feature_disabled", user=principal.sub)
        if not self._caps.enter_user(principal.sub):
            detail = "the user has the maximum number of connections"
            raise Refused(Close.AT_CAPACITY, "at_capacity", detail=detail, user=principal.sub)
        return principal

    def leave_user(self, principal: Principal) -> None:
        """Stop counting a connection that `admit` counted for this user."""
        self._caps.leave_user(principal.sub)

    def users(self) -> Collection[str]:
        """Return the users who have connections that `admit` counts, in this process."""
        return self._caps.users()

    @contextmanager
    def admitted(self, request: HTTPConnection) -> Iterator[Principal]:
        """Make all checks except that of the origin (steps 2 to 4), and count the request until the context ends.

        Yield the principal (the user of the token, with its claims). Raises Refused if the request has no token or an
        invalid one, or if the client may not connect.
        """
        address = self.address_of(request)
        self.enter(address)
        try:
            principal = self.admit(_required(self.token_of(request)))
            try:
                yield principal
            finally:
                self.leave_user(principal)
        finally:
            self.leave(address)

    def identify(self, request: HTTPConnection) -> Principal:
        """Return the principal (the user) of the token in this request, without counting the request as a connection.

        Raises Refused if the request presents its token in a wrong way (4500), the token is missing or not valid
        (4401), or no key to verify it is there yet (1011)."""
        return self.verify(_required(self.token_of(request)))

    def verify(self, token: str) -> Principal:
        """Return the principal (the user) of this token, without counting a connection. Raises Refused if the token is
        not valid (4401), or if no key to verify it is there yet (1011).

        When a session refreshes its token, this is the only check: the new token must be of the same user, who is
        counted already and whom the rollout includes: when it changes, `recheck` is called for every session.
        """
        return self._verifier.verify(token)

    def is_switched_on(self, principal: Principal) -> bool:
        """Return whether the rollout includes this user, which means that live delivery is switched on for the user."""
        return self._rollout.is_in(principal.sub)


def token_of(request: HTTPConnection) -> str | None:
    """Return the token in the request's `Authorization` header or among the subprotocols that a WebSocket offers.
    Return None if the request has no token.

    Raises Refused (4500) if there is a token in the query of the URL, a malformed `Authorization` header, or more
    than one token.
    """
    # A token in the query is refused even if it is valid, or if there is another token, because URLs are written to
    # logs.
    if request.scope["query_string"] and any(name in request.query_params for name in TOKEN_PARAMETERS):
        raise Refused(Close.BAD_HANDSHAKE, "token_in_query")
    offered: Sequence[str] = request.scope.get("subprotocols", ())
    tokens = [name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)]
    for header in request.headers.getlist("authorization"):
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused(Close.BAD_HANDSHAKE, "bad_handshake")
        tokens.append(token.strip())
    if len(tokens) > 1:
        raise Refused(Close.BAD_HANDSHAKE, "bad_handshake")
    return tokens[0] if tokens else None


def _required(token: str | None) -> str:
    # In place of a missing token, verify an empty one: it is refused like every other invalid token. So before the
    # first keys are there, a request without a token is also answered that it should try again later.
    return token or ""
