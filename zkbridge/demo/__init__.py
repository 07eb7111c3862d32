"""The main job shown in one process, with a broker to carry along."""
