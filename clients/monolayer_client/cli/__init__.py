"""The command line; everything here may import typer and rich, nothing outside may import what is here."""
