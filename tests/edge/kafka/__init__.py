"""What is read of brokers, whatever they say; without one."""
