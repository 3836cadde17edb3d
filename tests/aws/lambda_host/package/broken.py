"""A function that can't be imported."""

raise RuntimeError("no good")


def handler(event, context):
    """Never called."""
