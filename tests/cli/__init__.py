"""The commands.

terminal, sessions, reference   what docs/cli.md shows is what they print
interrupted, large              ended at any moment; with a large tree
"""
