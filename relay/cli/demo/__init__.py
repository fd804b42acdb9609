"""`relay demo`: an embedded MongoDB, users, and a service that writes tasks. `relay mongod`: only the database."""
