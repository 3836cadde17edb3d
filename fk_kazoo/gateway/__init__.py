"""Speaks ZooKeeper's protocol in front of a deployment (``fk-kazoo serve``). It keeps nothing.

    server, acceptor listening, TLS, limits            connection  one client: its session, and the order of replies
    words, figures   four letter words, metrics        admin       health and metrics over HTTP
    certificates     who a client is by TLS            settings    what the command line says

Imports: fk_backend, jute, url. Never: kazoo, fk_kazoo.client, fk_kazoo.connection, fk_kazoo.loop_thread.
"""
