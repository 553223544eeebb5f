"""Images that appear in a folder, answered as they come."""
