"""The client's half of the protocol: one session over one connection, in request order, events before state.

    engine     the session; opening: how a connection is made; direct: writes that take no queue
    reading    reads that are of one moment; watchlist: what is watched, and what it has been told
    packing    requests that wait together become a message
    listener   who is told of answers, events and states

Imports: core, ports, layout, messages. Never: kazoo, fk_kazoo, fk_backend.providers, fk_backend.functions, time.
"""
