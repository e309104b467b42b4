"""A command that makes no sense in the state that its case is in."""


class Refused(Exception):
    """Carries a stable code for machines and a sentence for people that says what to do instead."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
