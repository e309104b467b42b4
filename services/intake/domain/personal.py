"""Personal text on its way into an event and out of what was unsealed."""

import json
from collections.abc import Mapping

from shared.schemas.privacy import Clear


def clear(text: str | None) -> Clear | None:
    return Clear(text=text) if text else None


def details_text(details: Mapping[str, str]) -> str | None:
    """One text for the same details, whatever their order."""
    return json.dumps(dict(details), ensure_ascii=False, sort_keys=True) if details else None


def details_of(text: str | None) -> dict[str, str]:
    """What details_text made a text of."""
    return dict(json.loads(text)) if text else {}
