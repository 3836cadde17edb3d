"""Tests for anybody's provider, and the simulation. It goes through `ports` and knows no provider.

    store_checks, primitive_checks   what a store and its primitives have to keep to; need only a test runner
    store_model                      a store against a dict, by random programs; needs hypothesis
    faults                           ports that fail
    simulation                       the shipped code under a virtual clock

Imports: core, functions, ports. Never: kazoo, fk_kazoo, fk_backend.providers.
"""
