"""A driver of Spark's: says its application's id, then of each number that it is told the sum of those below it."""

import sys

from pyspark.sql import SparkSession

builder = SparkSession.builder.master(sys.argv[1]).appName("sums")
for name, value in {"ui.enabled": "false", "driver.host": "127.0.0.1", "executor.memory": "500m"}.items():
    builder = builder.config("spark." + name, value)
session = builder.getOrCreate()
print(session.sparkContext.applicationId, flush=True)
for line in sys.stdin:
    if not line.strip():
        break
    print(session.range(int(line)).selectExpr("sum(id)").first()[0], flush=True)
session.stop()
print("stopped", flush=True)
