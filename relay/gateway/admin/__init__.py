"""The admin API (`/admin/…` on RELAY_ADMIN_PORT): who is connected, who listens to a task, disconnecting a user."""
