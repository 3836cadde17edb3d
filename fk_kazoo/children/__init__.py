"""What makes interpreters that an app starts anew take its swapped client along: a directory for ``PYTHONPATH``."""
