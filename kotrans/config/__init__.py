"""What can be set, with every default written once, and how it is read from YAML."""
