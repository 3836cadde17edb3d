"""A whole deployment in one file, and a new deployment made of it.

    take      walks the tree while clients write; archive: the file; restore: fills an empty deployment

Everything goes through the ports, so there is one way for every provider, and a backup of one fits another.

Imports: core, functions, layout, ports. Never: kazoo, fk_kazoo, fk_backend.providers, fk_backend.session.
"""
