"""A client of the bridge: it publishes a request and waits for its answer."""
