"""Comparing what a client shows with the part of it that a test is about."""

MISSING = "(not shown)"


def expect(shown: dict, wanted: dict):
    """Every key of `wanted` is shown with its value; a failure tells only the keys that differ."""
    differing = {
        key: {"wanted": value, "shown": shown.get(key, MISSING)}
        for key, value in wanted.items()
        if shown.get(key, MISSING) != value
    }
    assert not differing, differing
