"""An app with a client, served by gunicorn, uWSGI and Celery, with each kind of worker.

Imports: the client. Never: fk_backend, fk_kazoo.gateway, fk_kazoo.aio.
"""
