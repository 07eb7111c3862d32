"""The messages for Home Assistant about the bridge and its terminals."""
