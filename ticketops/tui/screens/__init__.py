"""What the dashboard shows, a screen a module."""
