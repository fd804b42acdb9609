"""The parts of a running relay that a reload of the settings changes: gives them new settings, all at one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay.auth.addresses import networks
from relay.auth.admins import Admins
from relay.auth.origins import allowed_origins
from relay.auth.rollout import Rollout
from relay.auth.tokens import KeySource, Verifier
from relay.config import Settings
from relay.errors import SourceError, StartupError
from relay.feed.pump import Pump
from relay.gateway.admin.api import AdminApi
from relay.gateway.listening import Ports
from relay.gateway.page import Page
from relay.gateway.polling.endpoint import Polls
from relay.gateway.server import Server
from relay.gateway.services import Services
from relay.gateway.websocket.endpoints import Connections
from relay.hub.mapping_switch import NewMapping
from relay.pipeline import DocumentReading, Pipeline
from relay.tasks.mapping import Mapping, Visibility
from relay.tasks.visibility import Audience

# How long a change of the mapping waits for the moment between two batches of the change stream. The database sends one
# ten times a second, but an update of many events may be worked off for seconds.
MOMENT_WITHIN_S = 20.0

AWAY = "The mapping cannot be changed while the database does not answer."

SIZES = ("relay_max_text_length", "relay_max_event_bytes")  # settings that decide how documents are shown


def origins_of(settings: Settings, ports: Ports) -> list[str]:
    """Return the origins whose pages may connect to a relay with these settings that serves these ports."""
    return allowed_origins(
        settings.relay_allowed_origins,
        settings.relay_public_url,
        ports.browser_hosts,
        ports.number,
        ports.scheme,
    )


Use = Callable[[Audience], None]  # uses new settings, with these visibility rules


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a relay that serve its clients on these ports. `clients` is the server of the clients' port, `admin`
    what administrators ask; None if there is no port for them."""

    ports: Ports
    services: Services
    connections: Connections
    polls: Polls
    page: Page
    clients: Server
    admin: AdminApi | None
    pipeline: Pipeline
    pump: Pump

    async def use_mapping(self, mapping: Mapping, settings: Settings, use: Use) -> None:
        """Read documents by this mapping from now on, and call `use` at the same moment, to use everything else that
        changes. Return when every client has been told what it loses. Raises StartupError if the database does not
        answer; then nothing changes.
        """
        reading = self.pipeline.reading_by(mapping, settings)
        try:
            await self.pump.between_batches(
                lambda: self._use_reading(reading, settings, use), within_s=MOMENT_WITHIN_S
            )
        except (SourceError, TimeoutError):
            raise StartupError(AWAY) from None

    async def check_database(self) -> None:
        """Raise StartupError if the database does not answer now, because `use_mapping` would fail then."""
        try:
            await self.pipeline.reader.now()
        except SourceError:
            raise StartupError(AWAY) from None

    async def _use_reading(self, reading: DocumentReading, settings: Settings, use: Use) -> None:
        services, hub, old = self.services, self.services.hub, self.pipeline.reading
        new = NewMapping(
            reading.reader, reading.translator, _shows_the_same(old, reading, services, settings)
        )
        switch = hub.mapping_switch(new)
        await switch.read(hub.position)
        use(reading.audience)
        # From here on nothing can fail, and nothing is awaited.
        rights = self.connections.rights_by(reading.audience, _unchanged(old.mapping, reading.mapping))
        services.shown_by = reading.digest
        self.polls.poll_again()
        self.pipeline.use(reading)
        self.pump.use(reading.reader, reading.translator)
        hub.switch_mapping(switch, new, rights)

    def use(self, settings: Settings, keys: KeySource, audience: Audience) -> None:
        """Use these settings, keys and visibility rules from now on, and close the connections of clients that would
        not be admitted any more. Returns at once, and cannot fail."""
        services, admission = self.services, self.services.admission
        services.settings, services.audience = settings, audience
        admission.origins.allow(origins_of(settings, self.ports))
        admission.use(
            verifier=Verifier.of(settings, keys, audience.claims, services.metrics.note_token),
            rollout=Rollout.of(settings),
            proxies=networks(settings.relay_trusted_proxies),
        )
        if self.admin is not None:
            self.admin.admit(Admins.of(settings, keys))
        admission.change_caps(settings)
        services.reads.change(settings)
        services.hub.change_list_interval(settings.relay_list_update_min_interval_ms / 1000)
        self.page.use(settings)
        self.clients.reload(settings)
        self.connections.reload()
        self.polls.reload()


def _shows_the_same(
    old: DocumentReading, new: DocumentReading, services: Services, settings: Settings
) -> bool:
    """Return whether documents look the same by both mappings, and only the rights to them may differ."""
    like_old = replace(new.mapping, visibility=old.mapping.visibility, links=old.mapping.links)
    return like_old == old.mapping and all(
        getattr(services.settings, name) == getattr(settings, name) for name in SIZES
    )


def _unchanged(old: Mapping, new: Mapping) -> Audience:
    """Return the visibility rules that are in both mappings."""
    before, after = old.visibility, new.visibility
    return Audience(
        Visibility(
            rules=tuple(one for one in after.rules if one in before.rules),
            sees_all=tuple(one for one in after.sees_all if one in before.sees_all),
        )
    )
