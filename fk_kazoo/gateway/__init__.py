"""Speaks ZooKeeper's protocol in front of a deployment. Each connection is a session; it keeps nothing."""
