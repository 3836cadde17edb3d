"""A whole deployment in one file, and a new deployment made of it: `take`, `restore`, and the file itself, `archive`.

Everything goes through the ports, so there is one way for every provider, and a backup of one can be restored in
another.

Imports: core, functions, layout, ports. Never: kazoo, fk_kazoo, fk_backend.providers, fk_backend.session.
"""
