"""``fk-kazoo console``: a page to look at a deployment, or a ZooKeeper, on starlette and uvicorn (extra ``cli``).

The browser asks small questions in JSON (`answers`), through one gate (`gate`); what changes is pushed to it (`live`).
The page itself is three files that no tool builds (``page/``).

Imports: starlette, uvicorn, and what `cli` uses. Never: fk_kazoo.aio, fk_kazoo.gateway, fk_kazoo.testing.
"""
