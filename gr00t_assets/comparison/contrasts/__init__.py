"""The statistics: factors, configurations, contrasts with their verdicts, and rankings."""
