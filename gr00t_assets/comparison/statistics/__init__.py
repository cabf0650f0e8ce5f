"""The statistics: factors, one linear model a class, its tests, and rankings."""
