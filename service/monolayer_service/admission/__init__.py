"""Who may come in, whose turn it is, and when to come back."""
