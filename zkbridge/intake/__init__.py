"""From a message's bytes to a request that is kept, or an answer at once."""
