"""The command line; everything heavy is imported by the command that needs it, so that ``--help`` answers at once."""
