"""The main job shown by one command, with a broker to carry along."""
