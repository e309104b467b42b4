"""What requests and messages are carried out with, as soon as the service has found its dependencies."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from services.intake.adapters.numbers import PostgresNumbers
from services.intake.adapters.rejecting import Rejections
from services.intake.adapters.wire import Defaults
from services.intake.application.acceptance import Acceptance
from services.intake.application.opening import Openings
from services.intake.domain.complaint import Complaint
from services.intake.domain.defaults import SCHEME_NAME
from services.intake.domain.owed import Owed
from services.intake.domain.scheme import Scheme, scheme_of
from services.intake.settings import IntakeSettings
from shared.runtime.http.asking import Asked
from shared.runtime.published import InForce
from shared.runtime.running import Running
from shared.schemas.base import Recorded
from shared.schemas.intake import CategorySchemePublished

CONTENT = "content"
"""The keyring's name for the secret that contents are hashed with."""


@dataclass
class Desk:
    running: Running[Complaint, Owed]
    _schemes: dict[UUID, Scheme] = field(default_factory=dict)
    _content_key: bytes | None = None

    @cached_property
    def acceptance(self) -> Acceptance:
        """Raises CatchingUp before the parts are there."""
        parts = self.running.parts
        openings = Openings(PostgresNumbers(parts.pool), parts.keyring, os.urandom)
        return Acceptance(parts.office, parts.sealer, openings, self.scheme)

    @cached_property
    def rejections(self) -> Rejections:
        parts = self.running.parts
        return Rejections(parts.pool, parts.keyring, self.running.clock, parts.office.appended)

    @cached_property
    def _in_force(self) -> InForce[CategorySchemePublished]:
        return InForce(self.running.parts.store, CategorySchemePublished, SCHEME_NAME)

    async def ready_for(self, asked: Asked) -> None:
        """Raises CatchingUp before anything is looked up: what has not been read yet would be taken for missing."""
        self.running.check()
        await self.running.seen(asked.token)

    async def published_scheme(self) -> Recorded:
        """The event that put the scheme in force."""
        return await self._in_force.recorded()

    async def scheme(self) -> Scheme:
        recorded = await self.published_scheme()
        if recorded.id not in self._schemes:
            assert isinstance(recorded.event, CategorySchemePublished)
            self._schemes = {recorded.id: scheme_of(recorded.event)}
        return self._schemes[recorded.id]

    async def content_key(self) -> bytes:
        if self._content_key is None:
            self._content_key = await self.running.parts.keyring.secret(CONTENT)
        return self._content_key

    def defaults(self, entity: str = "default") -> Defaults:
        settings = self.running.settings
        assert isinstance(settings, IntakeSettings)
        return Defaults(
            language=settings.default_language, time_zone=settings.default_time_zone, entity=entity
        )
