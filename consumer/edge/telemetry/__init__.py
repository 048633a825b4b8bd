"""Every fact as log line and metric, and how both are written. Decides nothing."""
