"""Admission: decides who may connect, with the same checks in the same order for every carrier.

Rules of this file: deny by default; a client that is counted is given back exactly once; what is
logged or answered never contains a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from starlette.requests import HTTPConnection

from relay.auth.addresses import Network, client_address
from relay.auth.limits import Caps
from relay.auth.origins import Origins, Transport
from relay.auth.rollout import Rollout
from relay.auth.tokens import Verifier
from relay.errors import Refused
from relay.protocol.types import BEARER_PREFIX, Close
from relay.tasks.visibility import Principal

TOKEN_PARAMETERS = ("token", "access_token", "jwt")


class Admission:
    """Every check between a request and the service behind it, in this order:

    1. `allows_origin`: a web page must come from an allowed origin.
    2. `enter`: the relay and the client's address must be below their connection caps.
    3. `token_of`: the request carries at most one token, and none in its query.
    4. `admit`: the token is valid, the rollout includes its user, and the user is below the cap.

    How far each carrier goes, and why they differ:

    - `POST /poll` takes all four steps at once: see `admitted`.
    - A WebSocket may send its token later, in its first frame. So the endpoint takes steps 1 to 3, and the
      session takes step 4. Only step 1 is refused with an HTTP status, before the upgrade. Browsers hide the
      status of a failed upgrade from the page, so later refusals accept the upgrade and then send a close code.
    - `GET /config` counts nothing (see `identify`): it is answered at once. And it must answer users outside the
      rollout, because its purpose is to tell them so: see `is_switched_on`.

    A caller that was counted by `enter` or `admit` calls `leave` or `leave_user` when it ends.
    """

    def __init__(
        self,
        *,
        origins: Origins,
        caps: Caps,
        verifier: Verifier,
        rollout: Rollout,
        proxies: Sequence[Network] = (),
    ) -> None:
        self.origins = origins
        self._caps = caps
        self._verifier = verifier
        self._rollout = rollout
        self._proxies = proxies  # whose X-Forwarded-For headers are believed

    def allows_origin(self, request: HTTPConnection, transport: Transport) -> bool:
        """May the page that sent this request connect? Without an `Origin` header it is not a page, and may."""
        return self.origins.allows(request.headers.get("origin"), transport)

    def enter(self, request: HTTPConnection) -> str:
        """Count one connection for the client's address, which is returned for `leave`. Raises Refused (4430)."""
        peer = request.client.host if request.client else ""
        address = client_address(peer, request.headers.getlist("x-forwarded-for"), self._proxies)
        if not self._caps.enter(address):
            raise Refused(Close.AT_CAPACITY, "at_capacity")
        return address

    def leave(self, address: str) -> None:
        """Give back what `enter` counted."""
        self._caps.leave(address)

    def token_of(self, request: HTTPConnection) -> str | None:
        """The token in the request's `Authorization` header or among the subprotocols that a WebSocket offers.
        None if there is none. Raises Refused (4500)."""
        # Refused also when the token is valid, and beside another one: URLs are written to logs.
        if any(name in request.query_params for name in TOKEN_PARAMETERS):
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

    def admit(self, token: str) -> Principal:
        """Verify the token, ask the rollout, and count one connection for the user. Raises Refused (4401, 1011,
        4502, 4430)."""
        principal = self.verify(token)
        if not self.is_switched_on(principal):
            raise Refused(Close.FEATURE_DISABLED, "feature_disabled")
        if not self._caps.enter_user(principal.sub):
            raise Refused(Close.AT_CAPACITY, "at_capacity")
        return principal

    def leave_user(self, principal: Principal) -> None:
        """Give back what `admit` counted."""
        self._caps.leave_user(principal.sub)

    @contextmanager
    def admitted(self, request: HTTPConnection) -> Iterator[Principal]:
        """Steps 2 to 4 for a request that is counted until the context ends. Raises Refused."""
        address = self.enter(request)
        try:
            principal = self.admit(_required(self.token_of(request)))
            try:
                yield principal
            finally:
                self.leave_user(principal)
        finally:
            self.leave(address)

    def identify(self, request: HTTPConnection) -> Principal:
        """Find out who sends this request, and count nothing. Raises Refused (4500, 4401, 1011)."""
        return self.verify(_required(self.token_of(request)))

    def verify(self, token: str) -> Principal:
        """Find out whose token this is, and count nothing. Raises Refused (4401, 1011).

        A session refreshes its token with this alone: the new token must be of the same user, who is counted
        already and whom the rollout, which does not change while the relay runs, includes.
        """
        return self._verifier.verify(token)

    def is_switched_on(self, principal: Principal) -> bool:
        """Does the rollout include this user?"""
        return self._rollout.is_in(principal.sub)


def _required(token: str | None) -> str:
    # The empty token is refused like every other token that does not verify. So until the first keys are
    # there, a request without a token is also told to try again later.
    return token or ""
