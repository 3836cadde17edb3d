"""The test kit, for providers of other people as much as for ours: it goes through `ports` and knows no provider.

`store_checks` and `primitive_checks` need nothing but a test runner; `store_model` needs hypothesis. `faults` wraps
ports that fail; `simulation` runs everything under a virtual clock.

Imports: core, functions, ports. Never: kazoo, fk_kazoo, fk_backend.providers.
"""
