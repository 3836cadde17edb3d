"""The core and clients beside a real ZooKeeper.

client_programs   programs of several sessions; record has ZooKeeper answer them
pair, long        side by side; without end
"""
