"""The audit: proves the service's promises from its topics alone, with code of its own. Imports nothing it judges."""
