"""How many devices an alert would reach."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from service import provider_door
from service.actions.apps.app_administration import providers_in_use
from service.domain.alert import Alert, Draft
from service.domain.audience import Audience
from service.domain.drafts.draft_checks import check_draft
from service.domain.errors import Invalid, require
from service.domain.headlines.headline_choice import needed_devices
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.pace.local_release import group_releases
from service.domain.pace.open_rate import DEFAULT_OPEN_SHARE
from service.domain.story import Story
from service.domain.totals import fold
from service.settings import Settings
from service.store.alerts import alert_totals, alerts, open_shares
from service.store.readers import audience, audience_counts
from service.store.readers.audience_counts import Estimate
from service.store.readers.left_out_rules import cap_in_force
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork


def estimate_audience(
    work: UnitOfWork, story_id: int, draft: Draft, settings: Settings
) -> Estimate:
    """Count the devices that this draft would reach if it were sent now. Changes nothing.

    The story may still be a draft: the number helps to write it.
    """
    draft = check_draft(draft, work.now)
    story = require(stories.get(work.session, story_id), "story")
    require_topics(work, draft)
    in_use = providers_in_use(work, settings.providers)
    require_apps(work, draft)
    names = [name for name in in_use if draft.apps is None or name in draft.apps]
    estimate = _estimate(work, story, draft, names, settings)
    return replace(estimate, by_provider=fold(estimate.by_app, in_use, 0))


def needed_audience(work: UnitOfWork, test: HeadlineTest) -> int:
    """Return how many devices an audience needs so that two headlines can be told apart."""
    return ceil(needed_devices(past_open_share(work)) / test.share)


def require_audience(work: UnitOfWork, story_id: int, draft: Draft, settings: Settings) -> None:
    """Refuse two headlines for an audience that is too small to tell which one is better."""
    if draft.headline_test is None:
        return
    devices = estimate_audience(work, story_id, draft, settings).devices
    needed = needed_audience(work, draft.headline_test)
    if devices < needed:
        detail = (
            f"The audience of {devices:,} devices is too small to tell: with this test share it "
            f"takes {needed:,}. Test with a larger share, or send one headline."
        )
        raise Invalid("variants", detail)


def past_open_share(work: UnitOfWork) -> float:
    """Return how many of the devices that get an alert open it, as far as is known."""
    share = open_shares.latest_open_share(work.session)
    return DEFAULT_OPEN_SHARE if share is None else share


def _estimate(
    work: UnitOfWork, story: Story, draft: Draft, names: Sequence[str], settings: Settings
) -> Estimate:
    if draft.corrects:
        root = alerts.root_of_story(work.session, story.id)
        if root is None or not root.unbegun:
            return _estimate_correction(work, root, names)
        draft = replace(draft, topics=root.topics, everyone=root.everyone)
    intended = _audience(work, story, draft)
    if settings.language_rule:
        intended = intended.in_languages([story.text.language, *draft.locales])
    intended = intended.capped_at(cap_in_force(work.session, settings.frequency_cap))
    if draft.local_release is not None:
        intended = intended.released_by(draft.local_release.at_home_in(settings.timezone))
    recipients = audience.freeze(work.session, story.id, intended)
    recipients = replace(recipients, one_device=draft.one_device)
    estimate = audience_counts.estimate(work.session, recipients, names)
    local = recipients.local_release
    if local is None:
        return estimate
    return replace(estimate, releases=group_releases(estimate.by_zone, local, recipients.at))


def require_apps(work: UnitOfWork, draft: Draft) -> None:
    """Refuse apps that are not in use: nothing would be pushed through them."""
    if draft.apps is None:
        return
    in_use = providers_in_use(work, provider_door.configured())
    unknown = [name for name in draft.apps if name not in in_use]
    if unknown:
        raise Invalid("apps", f"There is no app {', '.join(unknown[:5])} in use."[:200])


def require_topics(work: UnitOfWork, draft: Draft) -> None:
    """Refuse topics that do not exist: nobody can follow them, so the alert would reach nobody."""
    if not draft.topics:
        return
    existing = topics.by_paths(work.session, draft.topics)
    unknown = [path for path in draft.topics if path not in existing]
    if unknown:
        raise Invalid("topics", f"There is no topic {', '.join(unknown[:5])}.")


def _estimate_correction(work: UnitOfWork, root: Alert | None, names: Sequence[str]) -> Estimate:
    """Count the devices that the alert and its corrections have reached.

    Above `audience_counts.EXACT_UP_TO` the sums of the alerts are added up, which is nearly exact.
    """
    if root is None:
        return Estimate(0, {}, exact=True)
    chain = alerts.chain(work.session, root.id)
    running = root.state.running or any(alert.takes_over for alert in chain)
    sums = alert_totals.totals(work.session, [root.id]).get(root.id, {})
    exact = sum(totals.planned for totals in sums.values()) <= audience_counts.EXACT_UP_TO
    if exact:
        devices = alert_totals.count_holders(work.session, chain, names, takes_over=running)
    else:
        devices = {
            name: totals.accepted + running * (totals.open + totals.cancelled)
            for name, totals in sums.items()
            if name in names
        }
    return Estimate(sum(devices.values()), devices, exact=exact)


def _audience(work: UnitOfWork, story: Story, draft: Draft) -> Audience:
    moment = draft.send_at or work.now
    if draft.everyone:
        return Audience.of_everyone(story.id, draft.urgency, moment)
    if draft.topics is not None:
        return Audience.of_topics(story.id, draft.topics, draft.urgency, moment)
    return Audience.of_story(story.id, story.text.topics, draft.urgency, moment)
