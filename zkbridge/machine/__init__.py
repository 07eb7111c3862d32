"""What the machine that the bridge runs on has, and what it lacks: a clock, descriptors, durable folders."""
