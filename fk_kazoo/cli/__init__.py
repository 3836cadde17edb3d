"""The command line beyond ``fk-kazoo run``: one file for each group of commands, on click and rich (extra ``cli``).

    main      the table of commands; a command's module is imported when it is asked for
    read, change, edit, watch, copy, locks, sessions, top, doctor, …   the commands, by the table
    target    the deployment or ZooKeeper that a command is about; endpoints: what a copy goes between
    formats, progress, failures   how people write and read values; exit codes

Rule upheld here: results go to standard output, everything else to standard error; a user's mistake is one line and an
exit code of `failures`, never a traceback.

Imports: click, rich, and both clients' parts. Never: fk_kazoo.gateway, fk_kazoo.aio, fk_kazoo.testing.
"""
