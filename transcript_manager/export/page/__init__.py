"""A session as a web page: the audio, and the text with every word at its time."""
