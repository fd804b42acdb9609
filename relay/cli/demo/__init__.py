"""What `relay demo` needs besides the relay: a database, users, a writer."""
