"""What deploys, updates and destroys. gates: what is wrong with a template that linters do not see."""
