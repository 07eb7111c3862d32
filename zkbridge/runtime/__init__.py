"""What any daemon needs: threads, a scheduler, signals, systemd, logs."""
