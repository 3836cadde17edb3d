"""``fk-kazoo verify``: proof of a deployment on somebody's own account, in one run that leaves nothing behind.

Data flows one way: deploy → check → measure → destroy → look for remains → report. A check says what it saw or raises;
what could not be done is told as not run, and never as passed. Needs the extra ``fk_kazoo[aws]``.

Imports: the client, the AWS provider, boto3. Never: fk_kazoo.cli, fk_kazoo.gateway.
"""
