"""Who may connect: origins, addresses, tokens and their keys, the rollout, and limits."""
