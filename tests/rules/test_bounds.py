"""The table of bounds in `service/README.md` says what the constants of the code say."""

import importlib
import re

import pytest

from tests.rules.readmes import readmes

BOUNDS = {
    "connections one process holds": "service.http.server: MAX_CONNECTIONS SPARE_FILES; "
    "service.http.connections.listener: BACKLOG",
    "time to the end of the headers": "service.http.server: HEADERS_MS",
    "headers of a request, and what": "service.http.server: HEADERS_BYTES",
    "time to the first part of a body": "service.http.body_deadline: PART_S WHOLE_S",
    "time an answer waits": "service.http.connections.listener: UNREAD_MS; "
    "service.http.connections.slow_readers: LOOK_S SLOW_LOOKS SLOWEST_BYTES_PER_S",
    "what is kept of an answer": "service.http.connections.answer_parts: PART_BYTES",
    "readiness and metrics": "service.metrics.recent_answers: FRESH_S MOST_AT_ONCE",
    "event streams": "service.api.alert_events: MAX_WATCHERS MOST_OF_ONE_CALLER WATCHER_CHECK_S",
    "requests that compute at once": "service.hot.turns: AT_ONCE",
    "parts in which a body": "service.http.body_limit: MAX_PARTS SMALL_PART",
    "bodies that a process receives": "service.http.limits.body_memory: FREE_BYTES "
    "MOST_BYTES_OF_STRANGERS_ MOST_BYTES",
    "requests that wait for a slot": "service.http.admission: MAX_WAIT_S MAX_WAITING_PER_SLOT",
    "body of a request": "service.http.body_limit: MAX_BODY_BYTES MAX_VALUES MAX_FORM_BYTES "
    "MAX_FORM_VALUES MAX_REQUEST_BYTES MAX_STORY_VALUES MAX_STORY_TEXTS MAX_DOCUMENT_TEXTS",
    "path, query and headers": "service.http.body_limit: MAX_PATH MAX_QUERY_BYTES "
    "MAX_QUERY_VALUES MAX_HEADER_BYTES MAX_COOKIES MAX_HEADER_VALUES",
    "combining marks": "service.formats.text: MOST_MARKS",
    "wrong fields": "service.http.problems: MAX_ERRORS MAX_NAME",
    "body of a story": "service.domain.story: MAX_BODY_BYTES; service.actions.story_text: "
    "MAX_HEADLINE MAX_SUMMARY MAX_AUTHOR MAX_IMAGE_ALT MAX_TOPICS",
    "an uploaded picture": "service.http.body_limit: MAX_PICTURE_BYTES; "
    "service.media.picture_sizes: LONGEST_SIDE MAX_PIXELS MAX_JPEG_PIXELS",
    "pictures from one caller": "service.http.media.picture_bodies: PER_MINUTE",
    "pictures that are sized": "service.http.media.picture_bodies: MOST_AT_ONCE MOST_WAITING",
    "files of pictures that are read": "service.web.media.picture_files: READS_AT_ONCE "
    "MOST_WAITING; service.media.s3_storage: READ_S WRITE_S DELETE_S",
    "files of pictures in memory": "service.web.media.picture_files: MAX_CACHED_BYTES "
    "MAX_FILE_BYTES",
    "a body as HTML": "service.actions.story_text: MAX_CLEAN_BYTES; service.formats.markup_bounds: "
    "MAX_TAGS MAX_NESTING MAX_ATTRIBUTES MAX_ESCAPES FREE_COPIES_BYTES",
    "body of a signed delivery": "service.http.body_limit: MAX_HOOK_BYTES",
    "labels of a topic": "service.store.stories.topic_labels: MOST_LANGUAGES",
    "words of a search": "service.store.stories.story_search: MOST_WORDS LONGEST_WORD "
    "MOST_COMPARED",
    "a fetched feed": "service.fetching.fetch: WHOLE_S MOST_REDIRECTS",
    "title, body, topics": "service.domain.alert: MAX_TITLE MAX_TEXT MAX_TOPICS",
    "page of a list": "service.http.dependencies: LARGEST_PAGE",
    "alerts and deliveries in one replay": "service.actions.replays: ALERTS_PER_REPLAY",
    "dead letters named": "service.api.dead_letters: MAX_IDS",
    "a header in which a proxy": "service.http.forwarded: LONGEST_READ",
    "tries to sign in": "service.web.newsroom.sign_in_limits: TRIES_PER_MINUTE",
    "wrong passwords": "service.web.newsroom.sign_in_limits: FAILURES_PER_MINUTE",
    "wrong one-time codes": "service.web.newsroom.sign_in_limits: CODES_PER_MINUTE",
    "test pushes of one editor": "service.web.newsroom.send_push: TESTS_PER_MINUTE",
    "test pushes to an address": "service.web.admin.push_test_page: PUSHES_PER_MINUTE; "
    "service.actions.apps.developer_pushes: LONGEST_PASTE MARGIN_S",
    "devices, remembered": "service.domain.device: MAX_DEVICES_PER_READER "
    "MAX_TOMBSTONES_PER_READER; service.actions.readers: MAX_SUBSCRIPTIONS; "
    "service.domain.language: MAX_LANGUAGES",
    "alerts in 24 hours": "service.domain.people: MOST_ALERTS_PER_DAY",
    "sets of languages that readers read": "service.store.readers.left_out_rules: MOST_SETS",
    "alerts in a digest": "service.domain.pace.digest: MOST_ALERTS; "
    "service.store.deliveries.digests: MOST_SEARCHED; "
    "service.store.readers.missed_alerts: MOST_SHOWN",
    "address of a device": "service.domain.device: MAX_ADDRESS",
    "public pages in memory": "service.web.page_cache: MAX_PAGES MAX_BYTES MAX_PAGE_BYTES "
    "MAX_AGE_S RUSH_PER_S MAX_BUSY_AGE_S MAX_STALE_S",
    "bodies in a feed": "service.web.readers.feeds: MAX_BODIES_ LONGEST_BODY_",
    "a comparison of two": "service.web.newsroom.text_diff: MAX_EDITS MAX_STEPS",
    "calls of one kind that wait": "service.hot.group_commit: MAX_WAITING MAX_GROUP MAX_GATHER_S",
    "readers' calls that let": "service.hot.newsroom_first: PAUSE_S",
    "headers of hot answers": "service.hot.answer_head: MAX_HEADS; service.web.page_language: "
    "LONGEST_READ; service.formats.xml_document: LONGEST_KNOWN_TAG",
    "tokens for push services": "workers.provider_kit.vapid: MOST_TOKENS",
    "batches known to have": "service.store.readers.receipt_groups: MAX_ROWS",
    "waiting for the replica": "service.store.replica: WAIT_S LAGGING_REST_S AWAY_REST_S",
    "lines of the log": "service.log_floods: MOST PERIOD_S MOST_KINDS",
    "a caller of the port": "service.metrics.exposition: READ_S",
    "spans that wait": "service.tracing.exporting: MOST_QUEUED_SPANS SPANS_A_REQUEST "
    "EXPORT_TIMEOUT_S LAST_EXPORT_S",
    "attributes of a span": "service.tracing.exporting: MOST_ATTRIBUTES LONGEST_VALUE",
    "API keys in memory": "service.http.auth: CACHE_S",
    "messages in a queue": "workers.sweep: LONGEST_QUEUE",
    "shards of an alert": "service.store.deliveries.shards: MOST_SHARDS",
    "a spread alert": "service.domain.pace.spread: MOST_STEPS; "
    "service.store.deliveries.late_releases: LATE_S",
    "deliveries in a batch": "service.store.deliveries.packing: BATCH",
    "a process's work on one alert": "workers.delivery.loop: STREAM_S LAST_ANSWERS_S",
    "devices that the sweep marks": "service.store.readers.device_ages: MOST_AT_ONCE PARTS; "
    "workers.upkeep.chores: MOST_DEVICES_A_RUN",
    "a sweep": "workers.sweep: CLOSE_BATCHES SHARDS_A_PASS PAGES_S PATIENCE_S",
    "addresses remembered as": "workers.provider_kit.address_groups: MOST_ADDRESSES",
    "connections to one origin; origins": "workers.gateway.http2.http2_pool: MOST_CONNECTIONS "
    "MOST_SESSIONS",
    "reason and answer in a dead letter": "service.store.deliveries.dead_letters: MAX_REASON "
    "MAX_ANSWER",
}
"""The beginning of a row, and the constants that it tells; a `_` after a name: it is in bytes."""
KIB, MIB = 1024, 1024 * 1024


def figure_of(name: str, value: float) -> str:
    """Return a constant as the table writes it."""
    if name.endswith(("_BYTES", "_")):
        return f"{value // MIB} MiB" if value % MIB == 0 else f"{value // KIB} KiB"
    if name.endswith("_MS"):
        value, name = value / 1000, "_S"
    return f"{value:g} s" if name.endswith("_S") and "_PER_" not in name else f"{value:,}"


def constants(text: str) -> list[tuple[str, float]]:
    pairs = []
    for part in text.split("; "):
        module, names = part.split(": ")
        home = importlib.import_module(module)
        pairs += [(name, getattr(home, name.removesuffix("_"))) for name in names.split()]
    return pairs


@pytest.mark.parametrize("beginning", BOUNDS)
def test_a_row_of_the_table_of_bounds_says_what_its_constants_say(beginning):
    table = readmes()["service/README.md"].split("## Bounds")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith(f"| {beginning}")]
    assert len(rows) == 1, f"{len(rows)} rows begin with {beginning!r}"
    bound = rows[0].split("|")[2].replace("a minute", "60 s")
    figures = re.sub(r"(\d+)( and| to|,) (\d+ (?:KiB|MiB|s)\b)", r"\1 \3", bound)
    for name, value in constants(BOUNDS[beginning]):
        figure = figure_of(name, value)
        assert re.search(rf"(?<![\d,]){re.escape(figure)}(?![\d])", figures), (
            f"{name} is {figure}; the row says: {bound.strip()}"
        )
