"""What Home Assistant is told of the bridge and its terminals."""
