"""What the documentation names is there, and its snippets run. pages: what is in a page."""
