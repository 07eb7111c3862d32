"""The broker's side of the daemon: connection, subscriptions, acknowledgements, retained state."""
