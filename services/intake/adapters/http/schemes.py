"""GET /v1/category-schemes/current: the categories that complaints are classified under now."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from services.intake.adapters.desk import Desk
from shared.runtime.auth import Principal, Role, allow
from shared.schemas.intake import CategorySchemePublished


class CategoryView(BaseModel):
    path: list[str]
    german: str
    english: str


class SchemeView(BaseModel):
    name: str
    version: str
    categories: list[CategoryView]


def router(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/category-schemes", tags=["category schemes"])
    may_read = allow(*Role)

    @router.get("/current")
    async def current(_: Annotated[Principal, Depends(may_read)]) -> SchemeView:
        """The scheme in force, in both languages."""
        published = (await desk.published_scheme()).event
        assert isinstance(published, CategorySchemePublished)
        return SchemeView.model_validate(published.model_dump(), extra="ignore")

    return router
