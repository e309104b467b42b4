"""The category scheme in force: which paths a complaint can be classified under."""

from dataclasses import dataclass
from typing import TypeAlias

from shared.schemas.intake import CategorySchemePublished

Path: TypeAlias = tuple[str, ...]
"""The codes from the root of the scheme down to the category."""

SAFETY = "safety"
"""The root under which every scheme keeps dangers to life and health."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A version of the category scheme, as far as decisions ask for it."""

    version: str
    paths: frozenset[Path]

    def knows(self, path: Path) -> bool:
        return path in self.paths


def scheme_of(published: CategorySchemePublished) -> Scheme:
    return Scheme(published.version, frozenset(tuple(category.path) for category in published.categories))
