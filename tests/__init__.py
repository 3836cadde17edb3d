"""Tests of this repository. `checkout`: which code a run was of; matrix: with every supported kazoo and Python."""
