"""One folder per system; each implements ports and translates its driver's exceptions."""
