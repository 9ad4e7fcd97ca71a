"""The nouns of the library: what samples a wavefield, what makes one, and what a derivative is made of."""
