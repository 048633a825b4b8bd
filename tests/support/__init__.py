"""What several tests share. Owns no promise of its own."""
