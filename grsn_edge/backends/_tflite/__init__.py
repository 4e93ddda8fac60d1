"""A step program as a TFLite flatbuffer, and a strict look at such files."""
