"""Several processes of one machine, as `providers.local` has them: what ships, on a model of what they share.

Imports: functions, ports, providers.local. Never: kazoo, fk_kazoo, boto3.
"""
