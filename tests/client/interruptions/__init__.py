"""Calls that meet a signal, or another thread that stops their client, at any line.

The answer must be the right one, or the right exception at the right caller, in bounded time; the client works
afterwards, or is closed and can be started again; no thread has died. ``python -m tests.client.interruptions --help``.
"""
