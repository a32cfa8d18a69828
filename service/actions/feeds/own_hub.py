"""The WebSub hub of our own feeds: told as soon as a public story has changed."""

from datetime import datetime
from urllib.parse import urlencode

import structlog

from service.actions.feeds.feed_polling import Polling
from service.fetching.fetch import FetchRequest
from service.fetching.fetch_errors import FetchFailed
from service.store.session import transaction
from service.store.stories.story_changes import last_public_change

log = structlog.get_logger()

MOST_ANSWER_BYTES = 64 * 1024
FEEDS = ("/feed.xml", "/feed.json")


class OwnHub:
    """Remembers the last change that the hub knows; after a start it learns of it once more."""

    def __init__(self) -> None:
        self._change: datetime | None = None

    def tell_changes(self, polling: Polling) -> None:
        """Name our feeds to the hub when a story has changed; a failure is tried again."""
        settings = polling.settings
        if not settings.websub_hub:
            return
        with transaction(polling.engine) as session:
            change = last_public_change(session)
        if change is None or change == self._change:
            return
        topics = [f"{settings.public_url}{path}" for path in FEEDS]
        form = urlencode(
            {"hub.mode": "publish", "hub.url": topics, "hub.topic": topics}, doseq=True
        )
        request = FetchRequest(
            address=settings.websub_hub, most_bytes=MOST_ANSWER_BYTES, form=form.encode()
        )
        try:
            status = polling.fetcher.fetch(request).status
        except FetchFailed as failure:
            log.warning("our hub was not told", reason=failure.reason)
            return
        if status < 400:  # noqa: PLR2004 - any success
            self._change = change
        else:
            log.warning("our hub refused", status=status)
