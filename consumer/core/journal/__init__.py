"""What is proven: entries, who owns a partition, and what a take-over makes of a journal. Never does I/O."""
