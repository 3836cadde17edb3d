"""The functions over ports. doubles: a clock set by hand, inboxes and a queue that remember."""
