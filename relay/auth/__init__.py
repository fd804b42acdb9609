"""Who may connect: allowed origins, client addresses, tokens and their keys, the rollout, and limits."""
