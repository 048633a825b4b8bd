"""The audit's judges, over logs that are made up: the innocent go free, and every forgery is named."""
