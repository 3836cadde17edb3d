"""AWS on a developer's machine: an emulator of its interfaces, and a host that runs the functions as Lambda does.

Rule upheld here: nothing in this package is part of a deployment on AWS, and clients and functions don't know that it
exists. What is started here ends with the process that started it.

    emulator     ministack: DynamoDB, SQS, S3, CloudFormation, IAM
    resources    an account of it, and a deployment's tables, queues and bucket made directly
    access       the credentials of roles and clients, where the emulator enforces permissions
    environment  what runs a function: process (awslambdaric in a bare interpreter, over runtime's API) or thread
    function     a function: its environments, one invocation each at a time
    mapping      the event source mapping from a queue to a function
    reading      the functions and mappings of a template
    host         all functions of a deployment and what triggers them

Imports: the provider, ministack, hypercorn. Never: kazoo, fk_kazoo, fk_backend.session.
"""
