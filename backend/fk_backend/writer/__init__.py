"""What the writer function does, in parts: a batch of requests becomes one commit, and everybody is told of it.

    step         what requests come to: the items of one commit, and the answers; reservation, large, journal: what else
                 a commit may hold
    cache        what an instance knows of a namespace; loading, resume: how it comes to know it
    distributor  fans a commit out; watch: who watches; fanout: up to where that is done; senders: who may ask
    concurrently, ratelimit, request_log   for all of them

Imports: core, ports, layout, messages. Never: fk_kazoo, fk_backend.functions, fk_backend.providers, time, random.
"""
