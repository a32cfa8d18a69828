"""How the newsroom's pages fetch what an editor names, while the editor waits."""

from service.fetching.allowed_hosts import AllowedHosts
from service.fetching.fetch import Fetcher
from service.settings import Settings

EDITOR_WAITS_S = 8.0


def page_fetcher(settings: Settings) -> Fetcher:
    """Return what fetches for one press of a button."""
    return Fetcher(AllowedHosts.named(settings.fetch_allowed_hosts), whole_s=EDITOR_WAITS_S)
