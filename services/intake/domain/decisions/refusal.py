"""A refusal on account of one field of what was sent."""

from shared.schemas.refused import Refused


class FieldRefused(Refused):
    """Names the field, so that whoever sent it can mend it; the sentence never repeats its value."""

    def __init__(self, field: str, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.field = field
