"""The shapes that cross the service's borders, as models. Imports nothing of the service and touches nothing."""
