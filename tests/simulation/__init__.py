"""The whole protocol in one seeded, single-threaded world: the real core, with the edges replaced and set against it."""
