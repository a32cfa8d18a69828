"""A link that an editor pastes becomes a draft: never published, never alerted by itself."""

from urllib.parse import urlsplit

from service.actions import stories as story_actions
from service.actions.topics.incoming_topics import incoming_topics
from service.domain.errors import Invalid
from service.domain.people import Caller
from service.domain.story import Story, StoryText
from service.fetching.fetch import Fetcher, FetchRequest
from service.fetching.fetch_errors import FetchFailed
from service.formats.links import absolute_link
from service.formats.web_page import MAX_PAGE_BYTES, read_page
from service.unit_of_work import UnitOfWork

ACCEPT = "text/html, application/xhtml+xml;q=0.9, */*;q=0.5"
OK = 200


def draft_page(work: UnitOfWork, fetcher: Fetcher, address: str, caller: Caller) -> Story:
    """Save what the page says as a draft; raises `Invalid` with why there is none."""
    link = absolute_link(address if "//" in address else f"https://{address}", None)
    if link is None:
        raise Invalid("address", "A page has an address, as in https://news.example.org/story.")
    request = FetchRequest(address=link, most_bytes=MAX_PAGE_BYTES, headers={"Accept": ACCEPT})
    try:
        document = fetcher.fetch(request)
    except FetchFailed as failure:
        raise Invalid("address", failure.reason) from None
    if document.status != OK:
        host = urlsplit(document.address).hostname
        raise Invalid("address", f"{host} answers {document.status}.")
    page = read_page(document.body, address=document.address, charset=document.charset)
    text = StoryText(
        headline=page.headline,
        summary=page.summary,
        body=page.body,
        topics=incoming_topics(work, page, (), {}),
        language=page.language or "en",
        author=page.author,
        image_url=page.image.url if page.image else None,
    )
    return story_actions.save_draft(work, None, text, caller)
