"""The operations page's files, inside the package so that an installed service has them. Holds no code."""
