"""The journal's rules: what counts, what is read, what is taken over."""
