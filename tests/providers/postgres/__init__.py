"""The provider for PostgreSQL.

pretended, plays, links   a pretended server in virtual time, several processes on it
kills, failovers, cables  real servers that are killed, fail over, or are cut off
"""
