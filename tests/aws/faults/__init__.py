"""Writers that end at any request.

scenes, stage     batches, and a namespace just before each
between, invoked  misfortunes of connections and of invocations
"""
