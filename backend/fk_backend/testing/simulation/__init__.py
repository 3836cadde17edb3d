"""The shipped session engine and functions under a virtual clock: one integer seed is one run, faults included.

    python -m fk_backend.testing.simulation --seed 7            # replays a run and tells it
    python -m fk_backend.testing.simulation --schedules 20000 --jobs 2

`plan` says what happens from outside, `world` and `ports` are the deployment, `hosts` and `client` run what is shipped,
`model` says what ZooKeeper would have answered, and `checks` compares.

Imports: functions, session, ports. Never: kazoo, fk_kazoo, fk_backend.providers.local, boto3, threading.
"""
