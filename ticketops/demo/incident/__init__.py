"""An incident to practice on: real engines and a healthy workload, and what is broken under the dashboard in turn."""
