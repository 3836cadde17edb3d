"""The client's half of the protocol: one session over one connection, in request order, events before state."""
