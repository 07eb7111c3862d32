"""What crosses MQTT: topics, messages, texts and errors."""
