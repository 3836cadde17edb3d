"""The client's half of the protocol: one session over one connection, in request order, events before state.

    machine    what comes next, as a pure state machine; lease: how long the session is its own; watchlist
    engine     drives the machine. Its parts: opening, inbox, sending, direct, reads, events, beats, leaving
    reading    reads that are of one moment; packing, uploads: requests that wait together become a message
    listener   who is told of answers, events and states; ops: what can be asked

Imports: core, ports, layout, messages. Never: kazoo, fk_kazoo, fk_backend.providers, fk_backend.functions, time.
"""
