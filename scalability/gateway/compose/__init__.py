"""Routes that ask several others at the same time and answer with one JSON object."""
