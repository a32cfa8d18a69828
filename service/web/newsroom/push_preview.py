"""The aside of Send Push: whom the alert would reach, and how it would look on each platform."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Form, Path, Request, Response

from service import provider_door
from service.actions import estimates
from service.actions.outages import find_outages
from service.actions.providers import ProviderState, ProviderStatus, list_providers
from service.domain.alert import Draft, Words, collapse_key
from service.domain.errors import Refusal, require
from service.domain.media.pictures import whole_address, wide_address
from service.domain.pace.open_rate import opens_per_second
from service.domain.story import Story
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.dependencies import Id, SettingsDep, WorkDep
from service.settings import Settings
from service.store.alerts import story_alerts
from service.store.readers.audience_counts import Estimate
from service.store.stories import stories
from service.unit_of_work import UnitOfWork
from service.web.formatting import ago
from service.web.newsroom.left_out import describe_breaking_only, describe_left_out
from service.web.newsroom.push_form import SPREADS, PushFields
from service.web.newsroom.push_time import describe_releases
from service.web.rendering import render
from service.web.visitors import EditorActing

router = Router(prefix="/desk/stories/{story_id}/push", in_document=False)
RECENT = timedelta(hours=24)
MAX_RECENT_ALERTS = 4


@router.post("/look")
def refresh_preview(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    _: EditorActing,
    story_id: Annotated[Id, Path()],
    fields: Annotated[PushFields, Form()],
) -> Response:
    """Return the aside for the form as it is now: a fragment that replaces the one shown."""
    story = require(stories.get(work.session, story_id), "story")
    return render(request, "push_look.html", **preview_push(work, settings, story, fields))


def preview_push(
    work: UnitOfWork, settings: Settings, story: Story, fields: PushFields
) -> dict[str, Any]:
    """Return whom the alert would reach, who got an alert lately, and how it would look."""
    try:
        draft = fields.parse()
        estimate = estimates.estimate_audience(work, story.id, draft, settings)
    except Refusal:
        draft, estimate = Draft(), Estimate(0, {}, exact=True)
    paths = story.text.topics if draft.topics is None else draft.topics
    recent_alerts = story_alerts.recent_alerts(
        work.session, paths, everyone=draft.everyone, since=work.now - RECENT
    )
    content = _render_content(settings, story, draft, work.now)
    previews = provider_door.previews(content)
    relevant = {name: one for name, one in previews.items() if estimate.by_provider.get(name)}
    return {
        "estimate": estimate,
        "outages": find_outages(work.session),
        "recent_alerts": recent_alerts[:MAX_RECENT_ALERTS],
        "previews": relevant or previews,
        "picture": wide_address(content.image_url or ""),
        "language": story.text.language,
        "when_words": _describe_time(draft, estimate, work.now),
        "local_words": _describe_local(draft, estimate, work.now),
        "opens": _expect_opens(work, estimate),
        "troubled": _troubled_providers(work, settings, estimate),
        "left_out": _describe_left_out(work, settings, story, draft, estimate),
        "needs_two_editors": settings.breaking_needs_two and draft.urgency is Urgency.BREAKING,
    }


def _expect_opens(work: UnitOfWork, estimate: Estimate) -> list[tuple[int, str]]:
    """Return, for each spread in seconds, how many opens a second the site has to take."""
    share = estimates.past_open_share(work)
    return [(seconds, _per_second(estimate.devices, share, seconds)) for seconds, _ in SPREADS]


def _per_second(devices: int, share: float, seconds: int) -> str:
    rate = opens_per_second(devices, share, timedelta(seconds=seconds))
    return "fewer than one" if rate < 1 else f"about {round(rate):,}"


def _describe_local(draft: Draft, estimate: Estimate, now: datetime) -> str:
    """Return when an alert with a local time leaves in which zones; empty for any other."""
    local = draft.local_release
    return describe_releases(local, estimate.releases, now) if local else ""


def _describe_time(draft: Draft, estimate: Estimate, now: datetime) -> str:
    """Return when the alert leaves, in words; the page's script says it in local time."""
    send_at = draft.send_at
    if draft.local_release is not None:
        return _describe_local(draft, estimate, now)
    if send_at is None:
        return "now"
    return f"on {send_at:%A} at {send_at:%H:%M} UTC, {ago(send_at, now)},"


def _troubled_providers(
    work: UnitOfWork, settings: Settings, estimate: Estimate
) -> list[ProviderStatus]:
    """Return the providers that are held or failing, as far as the alert needs them."""
    return [
        one
        for one in list_providers(work, settings)
        if one.state is not ProviderState.IN_USE and estimate.by_app.get(one.name)
    ]


def _describe_left_out(
    work: UnitOfWork, settings: Settings, story: Story, draft: Draft, estimate: Estimate
) -> list[str]:
    """Say which followers' devices the alert leaves out: by rule, or by the readers' choice."""
    parts = describe_left_out(estimate.left_out, (story.text.language, *draft.locales))
    if draft.urgency is Urgency.BREAKING or draft.corrects:
        return parts
    loudest = replace(
        draft,
        urgency=Urgency.BREAKING,
        spread=timedelta(0),
        local_release=None,
        headline_test=None,
    )
    whole = estimates.estimate_audience(work, story.id, loudest, settings)
    return parts + describe_breaking_only(max(0, whole.addressed - estimate.addressed))


def _render_content(
    settings: Settings, story: Story, draft: Draft, now: datetime
) -> provider_door.AlertContent:
    """Return the alert as the providers would get it, with the longest possible id."""
    words = Words(
        story.text.headline if draft.title is None else draft.title,
        story.text.summary if draft.body is None else draft.body,
    )
    return provider_door.AlertContent(
        alert_id=str(2**63 - 1),
        story_id=str(story.id),
        words={"": words},
        language=story.text.language,
        url=stories.url(settings.public_url, story.slug),
        image_url=whole_address(story.text.image_url, settings.public_url),
        icon_url=f"{settings.public_url}/static/icon-192.png",
        urgency=draft.urgency,
        collapse_key=collapse_key(story.id),
        expires_at=now + draft.ttl,
    )
