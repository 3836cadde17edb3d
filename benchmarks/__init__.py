"""What fk_kazoo costs, and what it is compared with. `python -m benchmarks --help` lists the parts."""
