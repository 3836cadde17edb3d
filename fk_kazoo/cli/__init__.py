"""The command line beyond ``fk-kazoo run``: one file for each group of commands, on click and rich (extra ``cli``).

Rule upheld here: results go to standard output, everything else to standard error; a user's mistake is one line and an
exit code of `failures`, never a traceback.

Imports: click, rich, and both clients' parts. Never: fk_kazoo.gateway, fk_kazoo.aio, fk_kazoo.testing.
"""
