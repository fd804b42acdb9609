"""Who may see a task: tokens, principals, visibility."""
