"""The protocol, the functions and the providers behind fk_kazoo. PYTEST_DONT_REWRITE: see there."""
