"""Uploaded pictures: `POST /api/media`."""

from typing import Any

from fastapi import Request, Response, status
from pydantic import BaseModel, Field

from service.domain.media.pictures import FORMATS, StoredPicture, path_of, whole_address
from service.http.api_document import Router
from service.http.auth import StoryWriter
from service.http.media.picture_bodies import take_picture

router = Router(prefix="/api/media", tags=["stories"])
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {"picture": {"type": "string", "format": "binary"}},
        "required": ["picture"],
    }
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "image/webp": _BINARY,
            "image/avif": _BINARY,
            "multipart/form-data": _FORM,
        },
    }
}


class PictureSize(BaseModel):
    """One size of a picture in one format. What an address leads to never changes."""

    url: str
    width: int
    height: int
    format: str = Field(examples=["webp"])


class PictureOut(BaseModel):
    """A picture as it is served. `url` is what a story takes as its `image_url`."""

    id: str
    url: str
    width: int
    height: int
    sizes: list[PictureSize]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"model": PictureOut, "description": "It was uploaded before"}},
    openapi_extra=_BODY,
)
async def upload_picture(request: Request, caller: StoryWriter, response: Response) -> PictureOut:
    """Upload a picture for a story, 201 when it is new and 200 when it is known.

    JPEG, PNG, WebP or AVIF, as the body itself or as the part `picture` of a form, at most 20 MiB.
    It is turned upright, converted to sRGB and sized; nothing but its pixels is kept. `url` goes
    into a story's `image_url`; a picture that no story has is deleted after seven days.
    """
    picture, is_new = await take_picture(request, caller)
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return show_picture(picture, request.app.state.settings.public_url)


def show_picture(picture: StoredPicture, site: str) -> PictureOut:
    """Return a picture with whole addresses."""
    sizes = [
        PictureSize(
            url=site + path_of(picture.id, width, kind),
            width=width,
            height=max(1, round(picture.height * width / picture.width)),
            format=kind,
        )
        for width in picture.widths
        for kind in FORMATS
    ]
    return PictureOut(
        id=picture.id,
        url=whole_address(picture.path, site) or "",
        width=picture.width,
        height=picture.height,
        sizes=sizes,
    )
