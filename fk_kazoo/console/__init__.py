"""``fk-kazoo console``: a page to look at a deployment, or a ZooKeeper, on starlette and uvicorn (extra ``cli``).

    server   the HTTP server; gate: who may ask; answers: what the page asks, in JSON
    live     pushes changes to the open pages; page/: three files that no tool builds

Imports: starlette, uvicorn, and what `cli` uses. Never: fk_kazoo.aio, fk_kazoo.gateway, fk_kazoo.testing.
"""
