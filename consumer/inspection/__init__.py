"""The group's state as an operator sees it from outside, and the word that lets a stopped partition start."""
