"""Decides who may connect: by allowed origins, client addresses, tokens and their keys, the rollout, and limits."""
