"""The sub-commands of ``fk-kazoo`` that need more than the plain install.

Rule upheld here: importing one imports nothing but argparse; what it works with is imported when it is called.

Imports: the standard library, at first. Never: fk_kazoo.client, fk_kazoo.console, fk_kazoo.testing.
"""
