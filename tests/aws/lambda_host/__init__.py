"""What stands in for Lambda: its runtime, its triggers, its clock."""
