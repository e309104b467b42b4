"""How often Python looks for garbage that refers to itself: seldom, for what passes a service is short-lived."""

import gc


def collect_seldom() -> None:
    """What is loaded by now is never looked at again, and few batches start a search.

    Receiving a batch took half as long again without this.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
