"""Type checkers on how apps use the client. uses.py is read by them only; checkers runs them."""
