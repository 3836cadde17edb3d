"""Type checkers on how apps use the client. uses and uses_asyncio are read by them only; checkers runs them."""
