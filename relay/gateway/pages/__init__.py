"""The pages of `relay/web` as they are served: compressed, and in few files."""
