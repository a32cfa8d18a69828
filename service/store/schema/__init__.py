"""Every table, as SQLModel declares it; the migrations build exactly this.

Ids are random 63-bit integers (`new_id`), so a range of ids is a fair sample of its table.
"""

from service.store.schema.alert_tables import AlertRow, HeadlineChoiceRow, SecondLookRow
from service.store.schema.app_tables import AppRow
from service.store.schema.columns import ID_LIMIT, new_id
from service.store.schema.delivery_tables import (
    BatchRow,
    DeadLetterRow,
    DigestRow,
    FollowUpRow,
    MissedAlertRow,
    ReceiptRow,
    RecentSendRow,
    RetryRow,
    ShardRow,
)
from service.store.schema.operation_tables import (
    AlarmRow,
    DeskNoteRow,
    HoldRow,
    IdempotencyRow,
    ProcessLeaseRow,
    WorkerRow,
)
from service.store.schema.picture_tables import PictureFileRow, PictureRow
from service.store.schema.reader_tables import (
    DeviceRow,
    LastDigestRow,
    ReaderLoginRow,
    ReaderRow,
    SubscriptionRow,
    TimeZoneRow,
    TopicCodeRow,
    TopicLabelRow,
    TopicRow,
)
from service.store.schema.result_tables import (
    AlertResultRow,
    AudienceDayRow,
    DepartureRow,
    ProviderSampleRow,
)
from service.store.schema.source_tables import (
    FeedRow,
    SourceDeliveryRow,
    SourceRow,
    SuggestedAlertRow,
)
from service.store.schema.staff_tables import (
    ApiKeyRow,
    AuditRow,
    FirstAdminLinkRow,
    StaffRow,
    StaffSessionRow,
)
from service.store.schema.story_tables import AutosaveRow, ReceivedStoryRow, RevisionRow, StoryRow

__all__ = [
    "ID_LIMIT",
    "AlarmRow",
    "AlertResultRow",
    "AlertRow",
    "ApiKeyRow",
    "AppRow",
    "AudienceDayRow",
    "AuditRow",
    "AutosaveRow",
    "BatchRow",
    "DeadLetterRow",
    "DepartureRow",
    "DeskNoteRow",
    "DeviceRow",
    "DigestRow",
    "FeedRow",
    "FirstAdminLinkRow",
    "FollowUpRow",
    "HeadlineChoiceRow",
    "HoldRow",
    "IdempotencyRow",
    "LastDigestRow",
    "MissedAlertRow",
    "PictureFileRow",
    "PictureRow",
    "ProcessLeaseRow",
    "ProviderSampleRow",
    "ReaderLoginRow",
    "ReaderRow",
    "ReceiptRow",
    "ReceivedStoryRow",
    "RecentSendRow",
    "RetryRow",
    "RevisionRow",
    "SecondLookRow",
    "ShardRow",
    "SourceDeliveryRow",
    "SourceRow",
    "StaffRow",
    "StaffSessionRow",
    "StoryRow",
    "SubscriptionRow",
    "SuggestedAlertRow",
    "TimeZoneRow",
    "TopicCodeRow",
    "TopicLabelRow",
    "TopicRow",
    "WorkerRow",
    "new_id",
]
