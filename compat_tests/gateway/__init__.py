"""Clients that know nothing of fk_kazoo, through a gateway."""
