"""The settings of devices: when one that was not seen for long counts no more, and when it ends."""

from typing import Self

from pydantic import BaseModel, Field, model_validator


class DeviceSettings(BaseModel):
    """Days since a device last registered or renewed its registration."""

    device_stale_days: int = Field(
        60, ge=1, description="Days without a renewal until a device leaves the counts."
    )
    device_expiry_days: int = Field(
        270, ge=0, description="Days without a renewal until a device is forgotten; 0 = never."
    )

    @model_validator(mode="after")
    def _order_days(self) -> Self:
        if 0 < self.device_expiry_days <= self.device_stale_days:
            msg = "NEWSZOP_DEVICE_EXPIRY_DAYS must be more than NEWSZOP_DEVICE_STALE_DAYS, or 0"
            raise ValueError(msg)
        return self
