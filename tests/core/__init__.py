"""ZooKeeper's semantics, without anything around them."""
