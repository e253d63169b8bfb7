"""Client libraries that nobody here wrote, each driven by a program in its own language."""
