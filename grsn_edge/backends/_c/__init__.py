"""Generated C: a schedule of a program, its source text, and a compiler to run it on the host."""
