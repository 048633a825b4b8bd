"""The command that holds, releases, lists and cancels campaigns."""
