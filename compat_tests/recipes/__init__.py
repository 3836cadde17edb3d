"""kazoo's recipes on a deployment while sessions expire, networks part and clients vanish: each keeps what it is for.

python -m compat_tests.recipes --url local://mine
"""
