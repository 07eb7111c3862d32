"""The other side of the bridge: publish a request and wait for its answer."""
