"""What it costs and how long it takes on AWS: counted on an emulator, computed from documented rules, and simulated.

Rule upheld here: requests are counted, units are computed from what the requests carry, and whatever is neither is an
assumption that is named where it is used and shown with the figures.

Imports: fk_backend, the cost model. Never: kazoo, fk_kazoo.gateway, fk_kazoo.aio.
"""
