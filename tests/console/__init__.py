"""The console, over HTTP and in a browser. screenshots takes the pictures of its page."""
