"""The site: HTML for readers, editors and admins. `mount` is all that the application needs."""

from service.web.site import mount

__all__ = ["mount"]
