"""An app with a client, served by gunicorn, uWSGI and Celery, with each kind of worker."""
