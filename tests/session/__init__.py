"""The session engine. doubles: a deployment whose every step is the test's."""
