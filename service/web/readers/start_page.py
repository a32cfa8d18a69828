"""The page for those who build an app: every call, as a command to copy."""

from fastapi import Request, Response

from service.http.api_document import FIVE_MINUTES, Router
from service.http.dependencies import SettingsDep
from service.web.readers import start_guide
from service.web.rendering import render

router = Router(in_document=False)


@router.get("/docs/start")
def show(request: Request, settings: SettingsDep) -> Response:
    """Show what an iPhone, an Android and a web app do, call by call."""
    return render(
        request,
        "start.html",
        cache=FIVE_MINUTES,
        server=settings.public_url,
        backend=(start_guide.SET_LOGIN_KEY, start_guide.SIGN_LOGIN),
        topics=start_guide.LIST_TOPICS,
        platforms=start_guide.PLATFORMS,
    )
