"""The operations page in a terminal: reads `/status` of one service and shows it. Changes nothing."""
