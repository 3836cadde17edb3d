"""What fk_kazoo costs, and what it is compared with. `python -m benchmarks --help` lists the parts.

Imports: both clients, kazoo, what starts servers. Never: fk_backend.testing, fk_kazoo.gateway, fk_kazoo.cli.
"""
