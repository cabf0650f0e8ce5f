"""From LeRobot v3.0 to v2.1, without loss."""
