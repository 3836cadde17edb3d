"""``fk-kazoo verify``: proof of a deployment on somebody's own account, in one run that leaves nothing behind.

    run      the order: deploy → check → measure → destroy → look for leftovers → report
    plan     the list of checks; load, slow_checks, tenants, usage, compatibility and measuring have them
    context  what a check is given; outcome: what it says. It raises, or says what it saw
    accounts where it runs: AWS or an emulator; clean_up and leftovers: what has to be gone at the end

What was not run is reported as not run, never as passed. Needs the extra ``fk_kazoo[aws]``.

Imports: the client, the AWS provider, boto3. Never: fk_kazoo.cli, fk_kazoo.gateway.
"""
