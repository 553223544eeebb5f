"""Arrays in, arrays out: reading, tiling, splitting, measuring and encoding cell images."""
