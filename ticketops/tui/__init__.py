"""The dashboard: screens and widgets over the same services as the commands; no query and no rule of its own."""
