"""The apps that this process pushes through: their providers, as the table `app` has them now.

Nothing is asked for where nothing has changed: the statements that every stage makes anyway return
the apps' revision.
"""

from dataclasses import dataclass, field

import structlog
from sqlmodel import Session

from service.domain.errors import Invalid
from service.sealing import SealKeys
from service.store.operations import apps
from service.store.operations.apps import App, open_credentials
from workers.app_provider import load_app
from workers.gateway.contract import Gateway
from workers.pacing.shared_rate import Rates
from workers.provider import Provider

log = structlog.get_logger()

ORIGINS_SHARE = 8
"""Of strangers' servers none takes more than this part of the window."""


@dataclass(slots=True)
class Apps:
    """`providers` are those of the apps in use, by the app's name.

    A provider that the process begins with is a default app's; `default_names` keeps these.
    """

    keys: SealKeys
    gateway: Gateway
    rates: Rates
    providers: dict[str, Provider]
    strangers: bool = False
    revision: int = 0
    default_names: frozenset[str] = field(init=False)
    _rows: dict[str, App] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the pools of the providers that there are."""
        self.default_names = frozenset(self.providers)
        for provider in self.providers.values():
            self._open(provider)

    def follow(self, session: Session, revision: int | None = None) -> bool:
        """Take over what has changed since `self.revision`; True when something had.

        `revision` is the table's as a statement has just returned it; None: ask for it. An app
        that cannot be used is left out; its deliveries wait.
        """
        if revision is None:
            revision = apps.revision(session)
        if revision == self.revision:
            return False
        providers = dict(self.providers)
        for name, app in apps.every_app(session).items():
            if app != self._rows.get(name):
                self._rows[name] = app
                self._replace(providers, app)
        self.providers = providers  # at once: another thread may be reading the names
        self.revision = revision
        return True

    def _replace(self, providers: dict[str, Provider], app: App) -> None:
        before = providers.pop(app.name, None)
        if app.disabled_at is not None or (app.is_default and app.name not in self.default_names):
            return
        try:
            credentials = open_credentials(self.keys, app)
            provider = load_app(app.name, app.provider, credentials, app.options)
        except (Invalid, LookupError) as fault:
            log.warning("app not usable", app=app.name, reason=str(fault))
            return
        providers[app.name] = provider
        self._open(provider)
        self.rates.add(provider)
        if before is not None:
            self.gateway.refresh(app.name)

    def _open(self, provider: Provider) -> None:
        self.gateway.open_pool(
            provider.name,
            provider.window,
            provider.guard,
            origin_window=provider.window // ORIGINS_SHARE if self.strangers else None,
        )
