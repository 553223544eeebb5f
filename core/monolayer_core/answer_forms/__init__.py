"""Forms of an answer that other programs open, each made of the objects and what is known of them."""
