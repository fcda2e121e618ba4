"""What goes wrong in production: looked for in every backend, and set right where that is safe."""
