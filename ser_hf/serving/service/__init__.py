"""Serve a model over HTTP and WebSockets; only `application` imports FastAPI."""
