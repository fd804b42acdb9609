"""The parts of a running relay that a reload of the settings changes: gives them new settings, all at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from relay.auth.addresses import networks
from relay.auth.admins import Admins
from relay.auth.origins import allowed_origins
from relay.auth.rollout import Rollout
from relay.auth.tokens import KeySource, Verifier
from relay.config import Settings
from relay.gateway.admin.api import AdminApi
from relay.gateway.listening import Ports
from relay.gateway.polling.endpoint import Polls
from relay.gateway.server import Server
from relay.gateway.services import Services
from relay.gateway.websocket.endpoints import Connections


def origins_of(settings: Settings, ports: Ports) -> list[str]:
    """Return the origins whose pages may connect to a relay with these settings that serves these ports."""
    return allowed_origins(
        settings.relay_allowed_origins,
        settings.relay_public_url,
        ports.browser_hosts,
        ports.number,
        ports.scheme,
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a relay that serve its clients on these ports. `clients` is the server of the clients' port, `admin`
    what administrators ask; None if there is no port for them."""

    ports: Ports
    services: Services
    connections: Connections
    polls: Polls
    clients: Server
    admin: AdminApi | None

    def use(self, settings: Settings, keys: KeySource) -> None:
        """Use these settings and keys from now on, and close the connections of clients that would not be admitted any
        more. Returns at once, and cannot fail."""
        services, admission = self.services, self.services.admission
        services.settings = settings
        admission.origins.allow(origins_of(settings, self.ports))
        admission.use(
            verifier=Verifier.of(settings, keys, services.audience.claims, services.metrics.note_token),
            rollout=Rollout.of(settings),
            proxies=networks(settings.relay_trusted_proxies),
        )
        if self.admin is not None:
            self.admin.admit(Admins.of(settings, keys))
        admission.change_caps(settings)
        services.reads.change(settings)
        services.hub.change_list_interval(settings.relay_list_update_min_interval_ms / 1000)
        self.clients.reload(settings)
        self.connections.reload()
        self.polls.reload()
